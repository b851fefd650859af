"""Files are written whole or not at all."""

import errno
import itertools
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_inv.files import atomic_write, own_name


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_there_and_nothing_else(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "new" / "folder" / "a.bin") as file:
        file.write(b"whole")
    assert (tmp_path / "new" / "folder" / "a.bin").read_bytes() == b"whole"
    assert names(tmp_path / "new" / "folder") == ["a.bin"]


def test_the_target_is_not_touched_before_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with atomic_write(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with target.open("rb") as reader:
        with atomic_write(target) as file:
            file.write(b"new")
        assert reader.read() == b"old"


@pytest.mark.parametrize("error", [ValueError, OSError, RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_no_part(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def write_half() -> None:
        with atomic_write(target) as file:
            file.write(b"half")
            raise error

    with pytest.raises(OSError if error is RuntimeError else error):
        write_half()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_full_disk_as_torch_reports_it_names_the_target(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_write(tmp_path / "last.ckpt"):
            raise RuntimeError("[enforce fail at inline_container.cc:603] unexpected pos 64 vs 0")

    with pytest.raises(OSError, match=r"could not write .*last\.ckpt.* Is the disk full\?"):
        write_half()


def test_a_full_disk_as_the_system_reports_it_names_the_target(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_write(tmp_path / "last.ckpt"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"No space left on device: .*last\.ckpt") as caught:
        write_half()
    assert caught.value.errno == errno.ENOSPC


def test_a_folder_that_cannot_be_made_names_the_target(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"a file, not a folder")
    with pytest.raises(OSError, match="taken"), atomic_write(tmp_path / "taken" / "a.bin"):
        pass


def test_an_error_with_another_file_keeps_that_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="source"), atomic_write(tmp_path / "a.bin") as file:
        file.write((tmp_path / "source").read_bytes())
    assert names(tmp_path) == []


def own_names(monkeypatch: pytest.MonkeyPatch, times: Iterator[int]) -> list[str]:
    """The names that processes of two machines take, one after another."""
    monkeypatch.setattr(time, "time_ns", times.__next__)
    found = []
    for host, process in (("b", 10), ("b", 9), ("a", 9), ("a", 2)):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        found.append(own_name())
    return found


def test_processes_that_begin_together_take_different_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(set(own_names(monkeypatch, itertools.repeat(10**18)))) == 4


def test_names_of_later_files_sort_later_whoever_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    names = own_names(monkeypatch, itertools.count(10**18))
    assert names == sorted(names)
