"""A training that meets bad numbers or too little memory names what is wrong and loses nothing."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import refusal
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from restorations import ROOT
from torch import Tensor
from trainings import assert_same_training, checkpoint, words

from lightning_inv.cli import train
from lightning_inv.data import Digits
from lightning_inv.modules import PriorTraining

pytestmark = pytest.mark.faults
STEP, BATCH = 5, 1
"""In the second pass of four batches."""


def with_callback(kind: type[Callback]) -> list[str]:
    return ["--trainer.callbacks", f"{__name__}.{kind.__name__}"]


class Spoil(Callback):
    """Puts a number that is none into one image of a batch."""

    names: list[str]

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == STEP:
            batch["image"][7, 0, 2, 2] = math.nan
            Spoil.names = [batch["name"][7]]


def test_an_image_that_spoils_the_loss_is_named_and_the_training_goes_on_from_the_step_before(
    straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    said = " ".join(refusal(train, words(tmp_path / "run", *with_callback(Spoil)), capsys).split())
    told = f"1 of 300 images have such a loss ({Spoil.names[0]})"
    assert f"the loss is nan at step {STEP}; in batch {BATCH} of the pass {told}" in said
    kept = checkpoint(tmp_path / "run")
    assert kept["global_step"] == STEP
    assert all(weights.isfinite().all() for weights in kept["state_dict"].values())
    train(words(tmp_path / "run", "--ckpt_path", "last"))
    assert_same_training(tmp_path / "run", straight)


class Short(Callback):
    """Asks for more memory than there is."""

    def on_after_backward(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        if trainer.global_step == STEP:
            torch.empty(2**60)


def test_a_training_step_that_does_not_fit_into_memory_says_what_to_lower_and_goes_on_from_the_last(
    straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    said = " ".join(refusal(train, words(tmp_path / "run", *with_callback(Short)), capsys).split())
    assert "memory is short: make data.batch_size smaller, and trainer.accumulate_grad_batches larger" in said
    assert "model.checkpoint_activations=true" in said
    assert "can't allocate" not in said
    assert checkpoint(tmp_path / "run")["global_step"] == STEP
    train(words(tmp_path / "run", "--ckpt_path", "last"))
    assert_same_training(tmp_path / "run", straight)


class Bug(Callback):
    """Makes a mistake of another kind."""

    def on_after_backward(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        raise RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")


def test_another_error_of_training_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="The size of tensor a"):
        train(words(tmp_path / "run", *with_callback(Bug)))


class Killed(Digits):
    """Its first worker is ended by the system."""

    def dataset(self, split: str) -> Any:
        images = super().dataset(split)
        if split == "train":
            images.__class__ = type("Deadly", (type(images),), {"__getitems__": _die})
        return images


def _die(images: Any, indices: list[int]) -> list[dict[str, Tensor]]:
    if torch.utils.data.get_worker_info() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return [images[i] for i in indices]


def test_a_loader_that_the_system_has_ended_is_told_in_one_sentence(tmp_path: Path) -> None:
    """In a process of its own: torch raises the error wherever the main thread is, in whatever lock."""
    data = ["--data", f"{__name__}.Killed", "--data.num_workers", "1", "--data.batch_size", "300"]
    command = [sys.executable, str(ROOT / "train.py"), *words(tmp_path / "run", *data)]
    places = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 2
    assert "make data.num_workers smaller" in done.stderr
    assert "Traceback" not in done.stderr
