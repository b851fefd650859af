"""A flipped bit on the disk: what is read is what was written, or it is refused; nothing else happens."""

import json
import zlib
from bisect import bisect
from itertools import accumulate
from pathlib import Path

import pytest
import torch
from damage import flipped, read_or_refused, same
from helpers import tiny_prior
from safetensors.torch import save_file

from lightning_inv.callbacks.journal import END, Journal
from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.spread import SampleFiles, Tally
from lightning_inv.files import read_weights, write_weights
from lightning_inv.priors import load_prior, save_prior

pytestmark = pytest.mark.faults


# Records


def entries() -> list[dict]:
    return [{"index": k, "name": f"image {k}", "solvers": {"a": {"psnr": 20.5 + k}}} for k in (7, 70, 71)]


def test_a_record_with_a_flipped_bit_is_none_and_the_others_stay(tmp_path: Path) -> None:
    Journal(tmp_path).append(entries())
    (path,) = tmp_path.iterdir()
    ends = list(accumulate(map(len, path.read_bytes().splitlines(True))))
    for at in flipped(path, 150):
        hit = {bisect(ends, at), bisect(ends, at + 1)}  # a lost break joins two lines
        kept = [record for k, record in enumerate(entries()) if k not in hit]
        assert list(Journal(tmp_path).read(range(1000))) == kept, at


def test_a_line_of_records_is_plain_data(tmp_path: Path) -> None:
    Journal(tmp_path).append(entries())
    (path,) = tmp_path.iterdir()
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [line.pop("crc32") for line in lines if len(line["crc32"]) == 8]
    assert lines == entries()


def test_a_record_without_a_checksum_is_none(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text('{"index": 3, "name": "a"}\n')
    assert Journal(tmp_path).indices() == set()


# What a folder holds

SETTINGS = {"seed": 0, "prior": "ab12", "solvers": {"ddrm": {"class_path": "DDRM", "steps": 20}}}


FORGED = [
    b'"index": 3',
    b'{"index": 3, [',
    b'{"index": -1',
    b'{"index": 99999999999999999999',
    b'{"a": ' + b"[" * 10**5,
]


@pytest.mark.parametrize("text", FORGED, ids=range(len(FORGED)))
def test_a_line_that_was_never_a_record_is_none_though_its_checksum_is_right(
    text: bytes, tmp_path: Path
) -> None:
    (tmp_path / "1.jsonl").write_bytes(text + END % zlib.crc32(text))
    assert Journal(tmp_path).indices() == set()


@pytest.fixture
def results(tmp_path: Path) -> Manifest:
    """A folder with the record of one image, and one of its pictures."""
    manifest = Manifest(tmp_path)
    manifest.open(SETTINGS, overwrite=False)
    manifest.add([{"index": 0}])
    (tmp_path / "ddrm").mkdir()
    (tmp_path / "ddrm" / "a.png").touch()
    return manifest


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_damaged_is_named_and_nothing_is_touched(
    results: Manifest, content: bytes, overwrite: bool
) -> None:
    results.path.write_bytes(content)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged, so nobody .* Give --folder another"):
        results.open(SETTINGS, overwrite)
    assert results.path.read_bytes() == content
    assert results.done() == {0}
    assert (results.folder / "ddrm" / "a.png").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_flipped_bit_of_a_manifest_mixes_and_removes_no_results(results: Manifest, overwrite: bool) -> None:
    for _ in flipped(results.path, 8 * results.path.stat().st_size):
        with pytest.raises(ValueError, match="is damaged, so nobody can tell"):
            results.open({**SETTINGS, "seed": 1}, overwrite)
    assert results.open(SETTINGS, overwrite=False) == {0}
    assert (results.folder / "ddrm" / "a.png").exists()


def test_a_manifest_without_a_checksum_is_damaged(results: Manifest) -> None:
    """Else one bit of its key would make other settings of it, that could be overwritten."""
    results.path.write_text(json.dumps(SETTINGS))
    with pytest.raises(ValueError, match=r"manifest\.json is damaged, so nobody can tell"):
        results.open(SETTINGS, overwrite=True)
    assert results.done() == {0}


# Files of weights


def test_a_flipped_bit_of_a_prior_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path, saved = tmp_path / "prior.safetensors", tiny_prior()
    save_prior(path, saved, {"steps": 3})
    for at in flipped(path, 300):
        loaded = read_or_refused(load_prior, path)
        if loaded is not None:
            assert same(loaded.state_dict(), saved.state_dict()), at
            assert loaded.recipe == saved.recipe, at


def test_a_flipped_bit_of_the_weights_is_told(tmp_path: Path) -> None:
    path = tmp_path / "prior.safetensors"
    save_prior(path, tiny_prior(), {})
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"prior\.safetensors is damaged: what it holds does not fit"):
        load_prior(path)


def test_weights_without_a_digest_are_read_as_ever(tmp_path: Path) -> None:
    save_file({"a": torch.arange(3.0)}, tmp_path / "a.safetensors", {"told": "b"})
    header, weights = read_weights(tmp_path / "a.safetensors")
    assert header == {"told": "b"}
    assert weights["a"].tolist() == [0, 1, 2]


ODD = {
    "no dimension": torch.tensor(3.0),
    "no number": torch.zeros(2, 0),
    "bool": torch.tensor([True, False]),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "complex": torch.ones(2, dtype=torch.complex64),
    "in turns": torch.arange(6.0).view(2, 3).mT,
}


def test_tensors_of_every_kind_have_a_digest(tmp_path: Path) -> None:
    write_weights(tmp_path / "a.safetensors", {"told": "b"}, ODD)
    header, weights = read_weights(tmp_path / "a.safetensors")
    assert header == {"told": "b"}
    assert same(weights, ODD)


def test_samples_in_a_tally_with_a_flipped_bit_are_drawn_again(tmp_path: Path) -> None:
    """They must not count as drawn and yet be missing when all are put together."""
    files, x = SampleFiles(tmp_path / "tallies", tmp_path / "parts"), torch.rand(1, 4, 4)
    files.add(7, 0, {"a": x}, {"a": {"psnr": 21.5}})
    files.write()
    (path,) = (tmp_path / "tallies").iterdir()
    for at in flipped(path, 100):
        if files.drawn():  # the key of the digest was hit, and nothing else
            assert same({"mean": Tally.read(path).moments["a"].mean}, {"mean": x.double()}), at
            assert b'"sha256"' not in path.read_bytes()
    assert files.drawn() == {7: {0}}
