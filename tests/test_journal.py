"""Records that several processes append: none is lost, none is read twice, half a record is none."""

import json
import os
from pathlib import Path

import pytest

from lightning_inv.callbacks import journal
from lightning_inv.callbacks.journal import Journal

pytestmark = pytest.mark.faults


def entry(index: int, told: int = 0) -> dict:
    return {"index": index, "name": f"Ä {index}\n", "told": told}


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten records in turns by three writers, read in blocks smaller than their number."""
    monkeypatch.setattr(journal, "BLOCK", 4)
    writers = [Journal(tmp_path) for _ in range(3)]
    for index in (9, 3, 7, 1, 5, 0, 8, 2, 6, 4):
        writers[index % 3].append([entry(index)])
    return tmp_path


def test_records_of_several_writers_are_read_in_order(shared: Path) -> None:
    assert list(Journal(shared).read(range(10))) == [entry(index) for index in range(10)]
    assert Journal(shared).indices() == set(range(10))
    assert len(list(shared.iterdir())) == 3


def test_only_what_is_asked_for_is_read(shared: Path) -> None:
    assert list(Journal(shared).read(range(6, 20))) == [entry(index) for index in range(6, 10)]
    assert list(Journal(shared).read([2, 40])) == [entry(2)]


def test_nothing_is_read_where_nothing_was_written(tmp_path: Path) -> None:
    assert not Journal(tmp_path / "none").indices()
    assert not list(Journal(tmp_path / "none").read(range(10)))


@pytest.mark.parametrize("cut", [1, 2, 20])
def test_a_record_cut_off_is_none_and_the_others_stay(tmp_path: Path, cut: int) -> None:
    Journal(tmp_path).append([entry(0), entry(1)])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(Journal(tmp_path).read(range(10))) == [entry(0)]


@pytest.mark.parametrize("damage", [b"\0" * 40, b"[1]", b'{"index": "1"}', b'{"name": 1}', b"\xff\xfe"])
def test_damage_in_the_middle_costs_its_record_alone(tmp_path: Path, damage: bytes) -> None:
    Journal(tmp_path).append([entry(0), entry(1), entry(2)])
    (path,) = tmp_path.iterdir()
    first, _, last = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, damage, last, b""]))
    assert list(Journal(tmp_path).read(range(10))) == [entry(0), entry(2)]


def test_of_two_records_of_an_image_the_last_counts(tmp_path: Path) -> None:
    for told in (1, 2, 3):
        one = Journal(tmp_path)
        one.append([entry(0, told), entry(1)])
        one.append([entry(0, 10 * told)])
    assert list(Journal(tmp_path).read(range(10))) == [entry(0, 30), entry(1)]


def test_what_is_no_plain_data_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Journal(tmp_path).append([entry(0) | {"psnr": float("inf")}])
    assert not list(tmp_path.iterdir())


def test_after_a_full_disk_the_next_record_is_whole(tmp_path: Path) -> None:
    full = Journal(tmp_path)
    full.append([entry(0)])
    full._file = open("/dev/full", "wb")  # noqa: SIM115 (the journal closes it)
    with pytest.raises(OSError, match="full"):
        full.append([entry(1)])
    full.append([entry(2)])
    assert list(Journal(tmp_path).read(range(10))) == [entry(0), entry(2)]
    assert all(json.loads(line) for path in tmp_path.iterdir() for line in path.read_text().splitlines())


def test_records_are_on_the_disk_when_they_are_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that they outlast a machine that loses its power."""
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: sizes.append(os.fstat(file).st_size))
    Journal(tmp_path).append([entry(0), entry(1)])
    (path,) = tmp_path.iterdir()
    assert sizes == [path.stat().st_size]
