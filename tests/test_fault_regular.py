"""What is no regular file in the place of one that is read: refused by name, neither waited for nor read."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import frugal

from lightning_inv.callbacks import journal
from lightning_inv.callbacks.journal import Journal
from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.spread import SampleFiles
from lightning_inv.configuration import read_config
from lightning_inv.data.image_files import FolderDataset
from lightning_inv.data.png import orientation_of
from lightning_inv.data.tiff_pages import check_pages
from lightning_inv.files import file_digest
from lightning_inv.operators import MaskFile, MaskFolder
from lightning_inv.regular import read_regular

pytestmark = pytest.mark.faults

KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
}
each_kind = pytest.mark.parametrize("plant", KINDS.values(), ids=KINDS)


@each_kind
def test_a_file_of_records_that_is_none_is_refused_by_name(tmp_path: Path, plant: Callable) -> None:
    (tmp_path / "records").mkdir()
    plant(tmp_path / "records" / "0.jsonl")
    with pytest.raises(ValueError, match=r"the records .*0\.jsonl cannot be read: it is no regular file\."):
        Manifest(tmp_path).done()


def test_records_that_are_replaced_by_a_pipe_while_they_are_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal(tmp_path).append([{"index": 0}])
    reader = Journal(tmp_path)
    files, places = reader._places()
    files[0].unlink()
    os.mkfifo(files[0])
    monkeypatch.setattr(reader, "_places", lambda: (files, places))
    with pytest.raises(ValueError, match="it is no regular file"):
        list(reader.read([0]))


def test_a_line_of_records_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LONGEST", 2**20)
    (tmp_path / "0.jsonl").touch()
    os.truncate(tmp_path / "0.jsonl", 2**32)  # sparse
    with frugal(), pytest.raises(ValueError, match=r"0\.jsonl is damaged: a line of it has 1048576 bytes"):
        Journal(tmp_path).indices()


@each_kind
def test_a_manifest_that_is_no_file_is_refused_by_name(tmp_path: Path, plant: Callable) -> None:
    plant(tmp_path / "manifest.json")
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        Manifest(tmp_path).look({"seed": 0}, overwrite=False)


@each_kind
def test_masks_that_are_no_files_are_refused_by_name(tmp_path: Path, plant: Callable) -> None:
    plant(tmp_path / "z.png")
    for mask in (MaskFolder(str(tmp_path)), MaskFile(str(tmp_path / "z.png"))):
        with pytest.raises(ValueError, match=r"z\.png cannot be read: it is no regular file"):
            mask.fingerprint()


def test_a_mask_that_is_longer_than_any_is_not_hashed(tmp_path: Path) -> None:
    (tmp_path / "z.png").touch()
    os.truncate(tmp_path / "z.png", 5 * 10**9)  # sparse
    for mask in (MaskFolder(str(tmp_path)), MaskFile(str(tmp_path / "z.png"))):
        with (
            frugal(),
            pytest.raises(ValueError, match=r"z\.png cannot be read: it has 5000000000 bytes, more"),
        ):
            mask.fingerprint()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_an_image_that_becomes_a_pipe_after_it_was_found_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    images = FolderDataset([path], ["a"], 1, None)
    os.mkfifo(path)
    for read in (images.__getitem__, images.shapes, lambda _: images.fingerprint()):
        with pytest.raises(ValueError, match=rf"a\{suffix} cannot be read.*: it is no regular file"):
            read(0)


@pytest.mark.parametrize("look", [orientation_of, check_pages])
def test_what_looks_at_a_picture_again_does_not_wait_for_a_pipe(tmp_path: Path, look: Callable) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(ValueError, match="it is no regular file"):
        look(tmp_path / "a")


@pytest.mark.parametrize("name", ["1x.safetensors", "1.5-a.safetensors", "9.safetensors.safetensors"])
def test_a_tally_of_no_name_of_ours_is_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert SampleFiles(tmp_path, tmp_path).drawn() == {}


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(9))
    assert read_regular(tmp_path / "a", 9) == bytes(9)
    with pytest.raises(ValueError, match=r"/a cannot be read: it has more than 8 bytes\."):
        read_regular(tmp_path / "a", 8)


def test_a_hash_of_a_long_file_takes_little_memory(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    os.truncate(tmp_path / "a", 2 * 10**8)  # sparse
    with frugal():
        file_digest(tmp_path / "a")


def test_a_long_text_in_a_configuration_is_no_path(tmp_path: Path) -> None:
    for text in ("long " * 100, "long " * 100 + "a.yaml", "no\0path"):
        (tmp_path / "a.yaml").write_text(json.dumps({"model": {"text": text}}))
        assert read_config(tmp_path / "a.yaml") == {"model": {"text": text}}


@pytest.mark.parametrize("text", ["include: {}", "model: {{problems: {{a: {}}}}}"])
def test_a_name_that_is_too_long_for_a_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text.format("long" * 100))
    with pytest.raises(ValueError, match=r"the configuration .*long, which .*a\.yaml names, cannot be read"):
        read_config(tmp_path / "a.yaml")
