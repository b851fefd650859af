"""Steps of several batches, and interruptions within a step."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from torch.optim.swa_utils import AveragedModel
from trainings import assert_same_training, checkpoint, words

from lightning_inv.cli import train

TWO = ["--trainer.accumulate_grad_batches=2", "--data.batch_size=150"]
"""Steps of as many images as those of ``straight``."""


class After(Callback):
    """Ends a run after so many batches.

    Args:
        batches: How many.
        kill: As a power cut does, or else by SIGTERM.
    """

    def __init__(self, batches: int, kill: bool) -> None:
        self.batches, self.kill = batches, kill

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self.batches -= 1
        if self.batches < 0 and self.kill:
            trainer.callbacks.clear()
            raise KeyError

    def on_train_batch_end(self, *_: Any) -> None:
        if not self.batches and not self.kill:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def straight_by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of steps of two batches without an interruption."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    train(words(folder, *TWO))
    return folder


def after(batches: int, kill: bool) -> list[str]:
    callback = [f"--trainer.callbacks={__name__}.After", f"--trainer.callbacks.batches={batches}"]
    return [*callback, f"--trainer.callbacks.kill={kill}"]


@pytest.mark.parametrize("batches", [2, 3, 4, 5])
def test_a_training_that_is_terminated_within_a_step_goes_on(
    straight_by_two: Path, tmp_path: Path, batches: int
) -> None:
    with pytest.raises(SystemExit) as caught:
        train(words(tmp_path / "run", *TWO, *after(batches, kill=False)))
    assert caught.value.code == 143
    train(words(tmp_path / "run", *TWO, "--ckpt_path=last"))
    assert_same_training(tmp_path / "run", straight_by_two)


def test_a_validation_within_a_step_leaves_a_checkpoint_to_go_on_from(
    straight_by_two: Path, tmp_path: Path
) -> None:
    often = [*TWO, "--trainer.val_check_interval=3"]
    with pytest.raises(KeyError):
        train(words(tmp_path / "run", *often, *after(3, kill=True)))
    train(words(tmp_path / "run", *often, "--ckpt_path=last"))
    assert_same_training(tmp_path / "run", straight_by_two)


@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.parametrize(("before", "then"), [([], TWO), (TWO, [])], ids=["one to two", "two to one"])
def test_a_training_goes_on_with_steps_of_another_number_of_batches(
    straight: Path, tmp_path: Path, steps: int, before: list[str], then: list[str]
) -> None:
    train(words(tmp_path / "run", *before, f"--trainer.max_steps={steps}"))
    train(words(tmp_path / "run", *then, "--ckpt_path=last"))
    first, second = checkpoint(straight), checkpoint(tmp_path / "run")
    assert first["global_step"] == second["global_step"]
    torch.testing.assert_close(first["state_dict"], second["state_dict"], rtol=1e-4, atol=1e-5)


def test_an_error_between_the_weights_and_their_mean_leaves_the_checkpoint_before(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = AveragedModel.update_parameters

    def fail(self: AveragedModel, model: torch.nn.Module) -> None:
        if self.n_averaged == 4:
            raise OSError("in the middle")
        update(self, model)

    with monkeypatch.context() as patch:
        patch.setattr(AveragedModel, "update_parameters", fail)
        with pytest.raises(SystemExit):
            train(words(tmp_path / "run", "--checkpoint.last_every=3", "--trainer.val_check_interval=100"))
    assert checkpoint(tmp_path / "run")["global_step"] == 3
    train(words(tmp_path / "run", "--ckpt_path=last"))
    assert_same_training(tmp_path / "run", straight)


@pytest.mark.faults
def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    train(words(tmp_path / "run", "--trainer.max_steps=1"))
    part = tmp_path / "run" / "checkpoints" / f".{'0123' * 8}.part"
    part.write_bytes(b"half")
    train(words(tmp_path / "run", "--ckpt_path=last"))
    assert not part.exists()
