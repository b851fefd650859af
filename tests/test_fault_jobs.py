"""Faults of jobs: two of them in one folder, killed ones, and a clock that goes back or stands still."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from comparisons import words as comparing
from helpers import refusal
from restorations import ROOT, arguments
from trainings import words

from lightning_inv import cli as commands
from lightning_inv import locks
from lightning_inv.cli import infer, train
from lightning_inv.command_line import CommandLine
from lightning_inv.locks import at_work

pytestmark = pytest.mark.faults
HOLD = """
import os, signal, sys
from pathlib import Path
from lightning_inv.locks import at_work
with at_work(Path(sys.argv[1]), sys.argv[2] == "shared"):
    print("holds", flush=True)
    if sys.argv[2] == "with a worker":
        if not (worker := os.fork()):
            signal.alarm(60) or signal.pause()
        print(worker, flush=True)
    sys.stdin.read()
"""
Hold = Callable[..., subprocess.Popen]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Starts a process that is at work in a folder until its input ends."""
    with contextlib.ExitStack() as all_of_them:

        def start(folder: Path, kind: str = "alone") -> subprocess.Popen:
            command = [sys.executable, "-c", HOLD, str(folder), kind]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            job = all_of_them.enter_context(subprocess.Popen(command, cwd=ROOT, **pipes))
            assert job.stdout.readline() == "holds\n"
            return job

        yield start


def held(folder: Path) -> dict[Path, int]:
    """All that is in a folder, and when it was changed."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def refused(script: Callable, arguments: list[str], folder: Path, capsys: pytest.CaptureFixture) -> str:
    """The refusal of a run; it leaves the folder as it was."""
    before = held(folder)
    said = refusal(script, arguments, capsys)
    assert held(folder) == before
    return said


def test_a_second_training_is_refused_in_a_sentence_that_names_the_first(
    hold: Hold, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    job = hold(tmp_path / "run")
    logger = ["--trainer.logger=TensorBoardLogger", f"--trainer.logger.save_dir={tmp_path / 'run'}"]
    said = refused(train, words(tmp_path / "run", *logger), tmp_path / "run", capsys)
    assert f"another run is at work in {tmp_path / 'run'} (process {job.pid} on host " in said
    assert "); wait for it or give --folder another name." in said


@pytest.mark.parametrize("more", ["--data.split=val", "--data.shard=0/2", "--output.overwrite=true"])
def test_a_restoration_is_refused_where_one_of_all_images_is_at_work(
    hold: Hold, prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: str
) -> None:
    hold(tmp_path / "job")
    said = refused(infer, arguments(prior, tmp_path / "job", more), tmp_path / "job", capsys)
    assert f"another run is at work in {tmp_path / 'job'} (process " in said


def test_a_restoration_of_all_images_is_refused_where_shards_are_at_work(
    hold: Hold, prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    hold(tmp_path / "job", "shared")
    said = refused(infer, arguments(prior, tmp_path / "job"), tmp_path / "job", capsys)
    assert f"another run is at work in {tmp_path / 'job'}; wait for it" in said


@pytest.mark.parametrize("more", [[], ["--data.shard=0/2"]], ids=["all images", "a shard"])
def test_a_restoration_of_several_problems_is_refused_where_a_run_is_at_work_in_one_of_them(
    hold: Hold, prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: list[str]
) -> None:
    hold(tmp_path / "job" / "coarse")
    said = refusal(infer, comparing(prior, tmp_path / "job", *more), capsys)
    assert f"another run is at work in {tmp_path / 'job' / 'coarse'} (process " in said
    assert {path.name for path in (tmp_path / "job").rglob("*")} <= {"coarse", "hidden", ".lock"}


def test_a_run_of_several_problems_holds_the_folder_of_each(
    prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(cli: SimpleNamespace) -> list[str]:
        return sorted(path.parent.name for path in tmp_path.rglob(".lock"))

    monkeypatch.setattr(commands, "restored", locked)
    assert infer(comparing(prior, tmp_path / "job")) == ["bright", "coarse", "hidden", "job"]
    assert not (tmp_path / "job").exists()


def test_a_shard_joins_others_that_are_at_work(hold: Hold, prior: Path, tmp_path: Path) -> None:
    hold(tmp_path / "job", "shared")
    assert infer(arguments(prior, tmp_path / "job", "--data.shard=0/1", "--data.limit=1"))["images"] == 1


def test_a_search_is_refused_where_a_run_is_at_work(
    hold: Hold, prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    hold(tmp_path / "job")
    tune = ["--tune.solver=reddiff", "--tune.space={weight: {low: 0.1, high: 1}}", "--data.split=val"]
    said = refused(infer, arguments(prior, tmp_path / "job", *tune), tmp_path / "job", capsys)
    assert f"another run is at work in {tmp_path / 'job'} (process " in said


def test_after_a_kill_the_next_run_begins_at_once(hold: Hold, tmp_path: Path) -> None:
    job = hold(tmp_path)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    with at_work(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / ".lock").read_text()


def test_workers_that_outlive_a_killed_run_hold_nothing(hold: Hold, tmp_path: Path) -> None:
    job = hold(tmp_path, "with a worker")
    worker = int(job.stdout.readline())
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    with at_work(tmp_path):
        os.kill(worker, signal.SIGKILL)  # it was there until now


def test_a_shard_that_ends_leaves_the_folder_to_the_others(hold: Hold, tmp_path: Path) -> None:
    hold(tmp_path, "shared")
    with at_work(tmp_path, shared=True):
        pass
    with pytest.raises(ValueError, match="another run is at work"), at_work(tmp_path):
        pass


def test_a_run_leaves_no_lock_and_a_refused_one_no_folder(tmp_path: Path) -> None:
    with at_work(tmp_path / "run"):
        (tmp_path / "run" / "a.bin").touch()
    with contextlib.suppress(KeyError), at_work(tmp_path / "refused"):
        raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "a.bin"]


def test_a_file_that_the_lock_is_another_name_of_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text(" (process 1 of theirs)")
    (tmp_path / "run").mkdir()
    os.link(tmp_path / "theirs", tmp_path / "run" / ".lock")
    with pytest.raises(OSError, match="lock was not made by a run"), at_work(tmp_path / "run"):
        pass
    assert (tmp_path / "theirs").read_text() == " (process 1 of theirs)"


@pytest.mark.parametrize("content", [None, "theirs"], ids=["pipe", "text"])
def test_what_is_no_lock_of_ours_is_neither_emptied_nor_removed(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / ".lock"
    os.mkfifo(path) if content is None else path.write_text(content)
    with pytest.raises(OSError, match="lock was not made by a run"), at_work(tmp_path):
        pass
    assert path.is_fifo() if content is None else path.read_text() == content


def test_a_lock_is_taken_again_where_the_run_before_removes_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is removed between being opened and locked."""
    lockf, removed = locks.fcntl.lockf, []

    def late(file: int, kind: int) -> None:
        if not removed:
            removed.append((tmp_path / ".lock").unlink())
        lockf(file, kind)

    monkeypatch.setattr(locks.fcntl, "lockf", late)
    with at_work(tmp_path):
        assert removed
        assert (tmp_path / ".lock").exists()


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, None])
def test_where_there_are_no_locks_a_warning_says_so_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int | None
) -> None:
    def lockf(*_: int) -> None:
        raise OSError(error, os.strerror(error))

    fake = None if error is None else SimpleNamespace(lockf=lockf, LOCK_EX=2, LOCK_SH=1, LOCK_NB=4)
    monkeypatch.setattr(locks, "fcntl", fake)
    with pytest.warns(UserWarning, match=f"{tmp_path} cannot be locked .*one run alone"), at_work(tmp_path):
        pass


def test_where_the_first_of_several_ranks_is_refused_all_end(hold: Hold, tmp_path: Path) -> None:
    """The others hear of it in the first setup, and nothing is logged before."""
    hold(tmp_path)
    said = []
    for zero in (True, False):
        strategy = SimpleNamespace(broadcast=lambda problem: said.append(problem) or said[0])
        trainer = SimpleNamespace(
            is_global_zero=zero,
            world_size=2,
            loggers=["TensorBoard"],
            callbacks=["output"],
            strategy=strategy,
        )
        line = SimpleNamespace(trainer=trainer, config=SimpleNamespace(folder=str(tmp_path)))
        with CommandLine.at_work(line):
            first = trainer.callbacks[0]
            with pytest.raises(ValueError, match="another run is at work"):
                first.setup(trainer, None, "fit")
        assert trainer.loggers == ([] if zero else ["TensorBoard"])
