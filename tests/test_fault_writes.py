"""Faults while files are written: kill -9, clocks that are wrong, and names as long as they may be."""

import errno
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from killed_writes import STEPS, WRITES, file
from restorations import ROOT, arguments, assert_same, forget, recorded

from lightning_inv import files
from lightning_inv.callbacks import PriorFile
from lightning_inv.callbacks.journal import Journal
from lightning_inv.callbacks.manifest import STALE, Manifest
from lightning_inv.callbacks.pictures import write_png
from lightning_inv.callbacks.spread import SampleFiles
from lightning_inv.cli import infer
from lightning_inv.files import remove_parts

pytestmark = pytest.mark.faults
HOUR = 3600.0


@pytest.fixture(scope="module")
def mid_writes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What processes that were killed while they wrote have left."""
    folder = tmp_path_factory.mktemp("killed")
    script = str(ROOT / "tests" / "killed_writes.py")
    places = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": places}
    subprocess.run([sys.executable, script, str(folder)], env=environment, check=True, timeout=120)
    return folder


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", WRITES)
def test_a_kill_in_mid_write_leaves_the_old_file_and_what_the_next_run_removes(
    kind: str, step: str, mid_writes: Path
) -> None:
    path = file(mid_writes, kind, step)
    before = path.with_name("before")
    assert path.read_bytes() == before.read_bytes()
    assert len(list(path.parent.iterdir())) == 3
    remove_parts(path.parent)
    assert set(path.parent.iterdir()) == {path, before}


def test_a_kill_before_a_record_is_on_the_disk_costs_no_other(mid_writes: Path) -> None:
    journal = Journal(mid_writes / "records")
    journal.append([{"index": 2}])
    assert journal.indices() - {1} == {0, 2}


def test_a_training_removes_what_a_killed_one_has_left_of_a_prior(tmp_path: Path) -> None:
    left, other = tmp_path / f".{'0123' * 8}.part", tmp_path / "prior.safetensors"
    left.touch()
    other.touch()
    strategy = SimpleNamespace(broadcast=lambda found: found)
    PriorFile(str(tmp_path)).on_fit_start(
        SimpleNamespace(is_global_zero=True, strategy=strategy, ckpt_path=None), None
    )
    assert list(tmp_path.iterdir()) == [other]


def test_a_restoration_removes_what_a_killed_one_has_left_of_its_reports(tmp_path: Path) -> None:
    old, new, theirs = f".{'0' * 32}.part", f".{'1' * 32}.part", ".download.part"
    for name, age in ((old, 2 * STALE), (new, 0), (theirs, 2 * STALE)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    Manifest(tmp_path).open({}, overwrite=False)
    assert {path.name for path in tmp_path.iterdir()} == {new, theirs}


@pytest.mark.parametrize("letter", ["a", "é", "汉"])
def test_a_name_as_long_as_names_may_be_is_written(letter: str, tmp_path: Path) -> None:
    name = letter * (251 // len(letter.encode())) + ".png"
    write_png(tmp_path / name, torch.zeros(1, 8, 8), tmp_path / ".parts")
    assert (tmp_path / name).exists()


def test_names_are_unique_though_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    assert len({files.own_name() for _ in range(1000)}) == 1000


def test_after_a_full_disk_records_go_on_though_the_clock_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    journal, fsync = Journal(tmp_path), os.fsync

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        journal.append([{"index": 0}])
    monkeypatch.setattr(os, "fsync", fsync)
    journal.append([{"index": 1}])
    assert 1 in Journal(tmp_path).indices()


def test_samples_of_runs_with_one_process_number_and_time_do_not_replace_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a machine begins anew after a crash: its clock and its numbers go back."""
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    for sample in range(3):
        tallies = SampleFiles(tmp_path / "tallies", tmp_path / ".parts")
        tallies.add(0, sample, {"ddrm": torch.zeros(1, 8, 8)}, {"ddrm": {}})
        tallies.write()
    assert tallies.drawn() == {0: {0, 1, 2}}


def test_a_restoration_goes_on_though_the_clock_has_gone_back(
    prior: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = itertools.count(10**18, -(10**15))
    monkeypatch.setattr(time, "time_ns", times.__next__)
    infer(arguments(prior, tmp_path, "--data.batch_size=5"))
    before = recorded(tmp_path)
    forget(tmp_path, 3)
    infer(arguments(prior, tmp_path))
    assert {index for index, record in recorded(tmp_path).items() if record != before[index]} == {3}
    assert_same(finished, tmp_path)


@pytest.mark.parametrize("skew", [-9 * HOUR, 9 * HOUR], ids=["behind", "ahead"])
def test_what_is_being_written_stays_though_the_clock_of_the_file_server_is_wrong(
    skew: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of files on a server, the server says when they were changed."""
    manifest, utime = Manifest(tmp_path), os.utime
    there = time.time() + skew
    monkeypatch.setattr(os, "utime", lambda path, times=None: utime(path, times or (there, there)))
    manifest.parts.mkdir()
    written, left = (f".{digit * 32}.part" for digit in "01")
    for name, age in ((written, 60), (left, 2 * STALE)):
        (manifest.parts / name).touch()
        os.utime(manifest.parts / name, (there - age,) * 2)
    manifest.open({}, overwrite=False)
    assert [path.name for path in manifest.parts.iterdir()] == [written]
