"""Processes that are killed while others work: every image is done once."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from ranks import BATCH
from restorations import ROOT, arguments, assert_same, lines, recorded
from trainings import CONFIG, assert_same_training

from lightning_inv.cli import infer
from lightning_inv.launchers import OWN_STORE, check_restarts

pytestmark = pytest.mark.faults

IMAGES = 12
SLOW = ["--data.batch_size=1", f"--data.limit={IMAGES}", "--model.solvers.reddiff.steps=200"]
TORCHRUN = ["-m", "torch.distributed.run", "--max-restarts=2"]


def start(*command: str) -> subprocess.Popen:
    """Begins a program in a group of processes of its own."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, OWN_STORE: "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait(job: subprocess.Popen, folder: Path, images: int) -> None:
    """Waits until so many images are done."""
    while len(recorded(folder)) < images:
        assert job.poll() is None, job.communicate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            job.wait(0.05)


def children(process: subprocess.Popen) -> list[int]:
    """The processes that a process has started."""
    return [
        int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]


def assert_all_done(job: Path, prior: Path, straight: Path) -> None:
    """All images are in the results, once, and as one process restores them."""
    assert sorted(recorded(job)) == list(range(IMAGES))
    assert len(lines(job)) == IMAGES
    infer(arguments(prior, straight, *SLOW))
    assert_same(job, straight)


def test_a_killed_worker_costs_no_more_than_its_batch(prior: Path, tmp_path: Path) -> None:
    """Torchrun starts all three again, and what is left is shared out anew."""
    three = [*TORCHRUN, "--standalone", "--nproc-per-node=3"]
    job = start(*three, str(ROOT / "infer.py"), *arguments(prior, tmp_path / "job", *SLOW))
    wait(job, tmp_path / "job", 2)
    os.kill(children(job)[1], signal.SIGKILL)
    said, _ = job.communicate(timeout=240)
    assert job.returncode == 0, said
    assert len(list((tmp_path / "job" / "records").iterdir())) > 3  # of workers of both rounds
    assert_all_done(tmp_path / "job", prior, tmp_path / "straight")


def test_the_images_of_a_node_that_dies_are_done_by_the_other(prior: Path, tmp_path: Path) -> None:
    """The number of nodes may change, and so the shares."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}", "--rdzv-conf=last_call_timeout=5"]
    words = [
        *TORCHRUN,
        "--nnodes=1:2",
        *meeting,
        str(ROOT / "infer.py"),
        *arguments(prior, tmp_path / "job", *SLOW),
    ]
    first = start(*words)
    with contextlib.suppress(subprocess.TimeoutExpired):
        first.wait(1)  # so that this one holds the meeting
    second = start(*words)
    wait(second, tmp_path / "job", 2)
    for process in (second.pid, *children(second)):
        os.kill(process, signal.SIGKILL)
    second.communicate()
    said, _ = first.communicate(timeout=240)
    assert first.returncode == 0, said
    assert_all_done(tmp_path / "job", prior, tmp_path / "straight")


def test_a_killed_task_of_an_array_goes_on_where_it_stopped(prior: Path, tmp_path: Path) -> None:
    """Three tasks in one folder; one is killed and started again."""
    folder = tmp_path / "array"

    def task(i: int) -> subprocess.Popen:
        return start(str(ROOT / "infer.py"), *arguments(prior, folder, *SLOW, f"--data.shard={i}/3"))

    tasks = [task(i) for i in range(3)]
    while not (own := {1, 4, 7, 10} & recorded(folder).keys()):
        assert tasks[1].poll() is None, tasks[1].communicate()
    os.kill(tasks[1].pid, signal.SIGKILL)
    tasks[1].communicate()
    before = {index: recorded(folder)[index] for index in own}
    tasks[1] = task(1)
    said = [one.communicate(timeout=300)[0] for one in tasks]
    assert [one.returncode for one in tasks] == [0, 0, 0], said
    assert before.items() <= recorded(folder).items()
    assert_all_done(folder, prior, tmp_path / "straight")


class Failure(Callback):
    """Ends the last process, the first time that it comes there, after three steps or within the fourth.

    Args:
        mark: A file that tells that it has been there.
        kill: In the midst of a step, without a chance to say anything; or else by an error after one.
    """

    def __init__(self, mark: str, kill: bool) -> None:
        self.mark, self.kill = Path(mark), kill

    def on_after_backward(self, trainer: Trainer, *_: Any) -> None:
        if self.kill and self._is_time(trainer):
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if not self.kill and self._is_time(trainer):
            raise KeyError

    def _is_time(self, trainer: Trainer) -> bool:
        if trainer.global_step != 3 or trainer.global_rank != 1 or self.mark.exists():
            return False
        self.mark.touch()
        return True


@pytest.mark.parametrize(("kill", "every"), [(True, 1), (False, 1000)], ids=["killed", "an error"])
def test_a_training_goes_on_though_a_rank_fails(ranks: Path, tmp_path: Path, kill: bool, every: int) -> None:
    """Torchrun starts both ranks again; of an error the other one hears, and saves what there is."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    failure = [f"--trainer.callbacks={__name__}.Failure", f"--trainer.callbacks.mark={tmp_path / 'mark'}"]
    words = [f"--config={tmp_path / 'config.yaml'}", f"--folder={tmp_path / 'run'}", "--ckpt_path=auto"]
    words += [f"--data.batch_size={BATCH}", f"--checkpoint.last_every={every}", *failure]
    words += [f"--trainer.callbacks.kill={kill}", "--trainer.val_check_interval=100"]
    two = [*TORCHRUN, "--standalone", "--nproc-per-node=2"]
    said, _ = (job := start(*two, str(ROOT / "train.py"), *words)).communicate(timeout=240)
    assert job.returncode == 0, said
    assert said.count("Restored all states from the checkpoint") == 1
    assert_same_training(tmp_path / "run", ranks / "straight 0 workers")


@pytest.mark.parametrize(("shared", "restarts"), [("True", "0"), ("False", "3")])
def test_restarts_are_not_warned_of_where_they_succeed(
    shared: str, restarts: str, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", shared)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", restarts)
    check_restarts()
    assert not recwarn.list


def test_a_store_that_restarts_would_share_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    with pytest.warns(UserWarning, match=f"set {OWN_STORE}=1 before torchrun"):
        check_restarts()
