"""A process that is killed while others work in the same folder: every image is done once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from restorations import ROOT, arguments, assert_same, lines, recorded

from lightning_inv.cli import infer

IMAGES = 12
SLOW = ["--data.batch_size=1", f"--data.limit={IMAGES}", "--model.solvers.reddiff.steps=200"]


def start(*command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


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
