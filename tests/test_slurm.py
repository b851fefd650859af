"""Scripts for SLURM, with stand-ins for its commands, and processes that believe SLURM has started them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from restorations import ROOT, arguments, assert_same, lines

from lightning_inv.launchers import layout

SCRIPTS = ROOT / "scripts" / "slurm"
JOB = {
    "SLURM_JOB_ID": "42",
    "SLURM_ARRAY_JOB_ID": "40",
    "SLURM_ARRAY_TASK_ID": "3",
    "SLURM_ARRAY_TASK_COUNT": "8",
}


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder with ``srun``, which ends as the file ``code`` says, and ``scontrol``; both note words."""
    for name, code in (("srun", f"$(cat {tmp_path}/code)"), ("scontrol", "0")):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/said\nexit {code}\n')
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(script: str, commands: Path, code: int) -> tuple[int, list[str]]:
    """The code that a script ends with, and the commands that it has given."""
    (commands / "code").write_text(str(code))
    words = ["bash", str(SCRIPTS / script), "--folder", "a folder"]
    done = subprocess.run(words, env={"PATH": f"{commands}:{os.environ['PATH']}", **JOB}, check=False)
    return done.returncode, (commands / "said").read_text().splitlines()


def words(script: str) -> str:
    more = {"train.sbatch": " --ckpt_path auto", "infer_array.sbatch": " --data.shard 3/8"}.get(script, "")
    return f"--folder a folder{more}"


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.iterdir()))
@pytest.mark.parametrize("code", [0, 1, 143])
def test_a_job_is_queued_again_only_where_it_was_terminated(script: str, code: int, commands: Path) -> None:
    ended, (first, *more) = run(script, commands, code)
    assert ended == code
    assert first.startswith("srun ")
    assert first.endswith(words(script))
    job = "40_3" if "array" in script else "42"
    assert more == ([f"scontrol requeue {job}"] if code == 143 else [])


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.iterdir()))
def test_scripts_name_files_that_are_there(script: str, commands: Path) -> None:
    _, (first, *_) = run(script, commands, 0)
    named = [word for word in first.split() if word.endswith((".py", ".yaml"))]
    assert named
    assert all((ROOT / word).is_file() for word in named)


@pytest.mark.parametrize("option", ["--signal=TERM@", "--requeue", "--open-mode=append"])
@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.iterdir()))
def test_slurm_is_asked_to_terminate_tasks_in_time_and_to_queue_again(script: str, option: str) -> None:
    assert f"#SBATCH {option}" in (SCRIPTS / script).read_text()


@pytest.mark.parametrize("script", ["infer.sbatch", "train.sbatch"])
def test_a_task_that_fails_ends_those_that_would_wait_for_it(script: str, commands: Path) -> None:
    _, (first, *_) = run(script, commands, 0)
    assert "--kill-on-bad-exit=1" in first.split()


def test_devices_and_nodes_are_those_of_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert layout() == {}
    told = {"NTASKS": "16", "NTASKS_PER_NODE": "8", "NNODES": "2", "JOB_NAME": "restore"}
    for key, value in told.items():
        monkeypatch.setenv(f"SLURM_{key}", value)
    assert layout() == {"devices": 8, "num_nodes": 2}


def test_two_tasks_of_slurm_restore_as_one_process_does(prior: Path, finished: Path, tmp_path: Path) -> None:
    job = {
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NNODES": "2",
        "SLURM_JOB_ID": str(10000 + os.getpid() % 10000),  # its port follows from it
        "SLURM_JOB_NAME": "restore",
        "SLURM_NODELIST": "localhost",
        "SLURM_LOCALID": "0",
    }
    command = [sys.executable, str(ROOT / "infer.py"), *arguments(prior, tmp_path, "--data.batch_size=2")]
    tasks = [
        subprocess.Popen(
            command,
            env={**os.environ, **job, "SLURM_PROCID": str(rank), "SLURM_NODEID": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    said = [task.communicate(timeout=300)[0] for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], said
    assert len(lines(tmp_path)) == 5  # and not as often by each
    assert_same(finished, tmp_path)
