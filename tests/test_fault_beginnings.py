"""Trainings that begin where another one lies, or where they could not be written, spoil nothing."""

import shutil
from pathlib import Path

import pytest
from helpers import refusal
from trainings import words

from lightning_inv.cli import train

pytestmark = pytest.mark.faults


@pytest.fixture
def run(straight: Path, tmp_path: Path) -> Path:
    """A copy of a training of six steps."""
    return shutil.copytree(straight, tmp_path / "run")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("more", [[], ["--ckpt_path=last"]], ids=["anew", "going on"])
def test_a_trial_does_not_write_over_a_training(run: Path, more: list[str], capsys) -> None:
    before = contents(run)
    said = refusal(train, words(run, "--trainer.fast_dev_run=true", *more), capsys)
    assert f"{run} already holds a run; give trainer.fast_dev_run another --folder." in " ".join(said.split())
    assert contents(run) == before
