"""Processes that are killed while others work: the job ends well, every image is done once."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from restorations import ROOT, arguments, assert_same, lines, recorded

from lightning_inv.cli import infer

IMAGES = 12
SLOW = ["--data.batch_size=1", f"--data.limit={IMAGES}", "--model.solvers.reddiff.steps=200"]


def wait(process: subprocess.Popen, folder: Path, images: int) -> None:
    """Waits until so many images are done."""
    while process.poll() is None and len(recorded(folder)) < images:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    assert process.poll() is None, process.communicate()


def workers(parent: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def start(*command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_a_killed_worker_costs_no_more_than_its_batch(prior: Path, tmp_path: Path) -> None:
    """Torchrun starts all three again, and what is left is shared out anew."""
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3", "--max-restarts=10"]
    job = start(*run, str(ROOT / "infer.py"), *arguments(prior, tmp_path / "job", *SLOW))
    wait(job, tmp_path / "job", 2)
    os.kill(workers(job.pid)[1], signal.SIGKILL)
    said, _ = job.communicate(timeout=300)
    assert job.returncode == 0, said
    assert len(lines(tmp_path / "job")) == IMAGES
    assert len(list((tmp_path / "job" / "records").iterdir())) > 3  # of workers of both rounds
    infer(arguments(prior, tmp_path / "straight", *SLOW))
    assert_same(tmp_path / "job", tmp_path / "straight")


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
    assert sorted(recorded(folder)) == list(range(IMAGES))
    assert len(lines(folder)) == IMAGES
    assert before.items() <= recorded(folder).items()
    infer(arguments(prior, tmp_path / "straight", *SLOW))
    assert_same(folder, tmp_path / "straight")
