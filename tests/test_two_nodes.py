"""Two nodes on one machine, by the script that a user may run."""

import os
import subprocess
import sys
from pathlib import Path

from restorations import ROOT

SCRIPT = str(ROOT / "scripts" / "two_nodes.sh")


def test_two_nodes_train_and_restore_as_one_process_does(tmp_path: Path) -> None:
    command = ["bash", SCRIPT, str(tmp_path / "nodes")]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the largest difference") == 5


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    done = subprocess.run(["bash", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert not list(tmp_path.iterdir())
