"""A flipped bit on the disk: what is read is what was written, or it is refused; nothing else happens."""

import json
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest

from lightning_inv.callbacks.journal import Journal
from lightning_inv.callbacks.manifest import Manifest

pytestmark = pytest.mark.faults


def flipped(path: Path, count: int) -> Iterator[int]:
    """Flips one bit of a file at a time, at so many places, evenly; tells the byte, and puts it back."""
    content, end = path.read_bytes(), 8 * path.stat().st_size
    for k in range(count):
        at, bit = divmod(k * (end - 1) // (count - 1), 8)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        yield at
    path.write_bytes(content)


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


def test_a_flipped_bit_of_a_manifest_mixes_no_results(results: Manifest) -> None:
    for _ in flipped(results.path, 200):
        with pytest.raises(ValueError, match=r"is damaged|differs in: "):
            results.open(SETTINGS, overwrite=False)


def test_a_manifest_without_a_checksum_is_read_as_ever(results: Manifest) -> None:
    results.path.write_text(json.dumps(SETTINGS))
    assert results.open(SETTINGS, overwrite=False) == {0}
