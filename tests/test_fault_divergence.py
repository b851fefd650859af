"""A training that diverges loses neither its last good checkpoint nor its prior, and is no success."""

import math
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import refusal, tiny_prior
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from trainings import checkpoint, trained, words

from lightning_inv.callbacks import PriorFile
from lightning_inv.cli import train
from lightning_inv.modules import PriorTraining
from lightning_inv.modules.running_means import best_of

pytestmark = pytest.mark.faults
MILESTONES = (
    "{class_path: torch.optim.lr_scheduler.MultiStepLR, init_args: {milestones: [5], gamma: 1.0e+20}}"
)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training whose last step made the weights so large that the next loss is NaN."""
    run = tmp_path_factory.mktemp("diverged") / "run"
    with pytest.raises(SystemExit):
        train(diverging(run))
    assert steps(run) == [6, 5]
    return run


@pytest.fixture
def diverged(training: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return shutil.copytree(training, tmp_path / "run")


def diverging(run: Path, *more: str) -> list[str]:
    """The arguments of that training."""
    (run.parent / "steps.yaml").write_text(f"model: {{lr_scheduler: {MILESTONES}}}")
    often = ["--checkpoint.last_every=1", "--trainer.max_steps=9", "--trainer.val_check_interval=4"]
    return words(run, "--config", str(run.parent / "steps.yaml"), *often, *more)


def attempt(run: Path, capsys: pytest.CaptureFixture, *more: str) -> str:
    return " ".join(refusal(train, diverging(run, *more), capsys).split())


def steps(run: Path) -> list[int]:
    return [checkpoint(run, name)["global_step"] for name in ("last", "previous")]


def test_a_divergence_that_is_tried_again_keeps_the_checkpoint_before_it(
    diverged: Path, capsys: pytest.CaptureFixture
) -> None:
    for _ in range(2):
        assert "the loss is nan at step 6" in attempt(diverged, capsys, "--ckpt_path=last")
        assert steps(diverged) == [6, 5]


def test_a_run_that_goes_back_to_the_one_before_keeps_it_until_it_has_another(
    diverged: Path, capsys: pytest.CaptureFixture
) -> None:
    previous = f"--ckpt_path={diverged / 'checkpoints' / 'previous.ckpt'}"
    for _ in range(2):
        assert "the loss is nan at step 6" in attempt(diverged, capsys, previous)
        assert steps(diverged) == [6, 5]
        largest = max(
            weights.abs().max() for weights in checkpoint(diverged, "previous")["state_dict"].values()
        )
        assert largest < 100


class Fail(Callback):
    """Fails before the first step."""

    def on_train_batch_start(self, *_: Any) -> None:
        raise OSError("the disk is gone")


def test_a_failure_before_the_first_step_of_a_run_that_goes_back_replaces_nothing(
    diverged: Path, capsys: pytest.CaptureFixture
) -> None:
    best = f"--ckpt_path={diverged / 'checkpoints' / 'best.ckpt'}"
    said = attempt(diverged, capsys, best, f"--trainer.callbacks={__name__}.Fail")
    assert "the disk is gone" in said
    assert steps(diverged) == [6, 5]


class Overflow(Callback):
    """Makes one number infinite by the fourth step: a weight, or a moment of Adam."""

    def __init__(self, moment: bool) -> None:
        self.moment = moment

    def on_train_batch_end(self, trainer: Trainer, pl_module: PriorTraining, *_: Any) -> None:
        if trainer.global_step == 4:
            weights = next(pl_module.denoiser.parameters()).data
            moment = next(iter(trainer.optimizers[0].state.values()))["exp_avg"]
            (moment if self.moment else weights).view(-1)[0] = math.inf


@pytest.mark.parametrize("moment", [False, True], ids=["weight", "moment"])
def test_numbers_that_are_not_finite_are_not_saved_and_end_the_training(
    tmp_path: Path, moment: bool, capsys: pytest.CaptureFixture
) -> None:
    more = f"--trainer.callbacks={__name__}.Overflow", f"--trainer.callbacks.moment={str(moment).lower()}"
    said = refusal(train, words(tmp_path / "run", "--checkpoint.last_every=1", *more), capsys)
    assert "are not finite at step 4; they are not saved, the checkpoints before stay." in " ".join(
        said.split()
    )
    for name, step in (("last", 3), ("previous", 2), ("best", 2)):
        kept = checkpoint(tmp_path / "run", name)
        assert kept["global_step"] == step
        assert all(weights.isfinite().all() for weights in kept["state_dict"].values())


def test_a_training_that_ends_without_finite_weights_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    descent = ["--model.optimizer=torch.optim.SGD", "--model.optimizer.lr=.inf", "--trainer.max_steps=1"]
    said = refusal(train, words(tmp_path / "run", *descent), capsys)
    assert "are not finite at step 1" in said
    assert not list(tmp_path.glob("run/**/*.ckpt"))
    assert not (tmp_path / "run" / "prior.safetensors").exists()


@pytest.mark.parametrize(("lr", "half"), [(math.inf, False), (1e6, True)], ids=["32 bits", "16 bits"])
def test_a_prior_that_would_not_be_finite_in_its_file_is_not_written(
    tmp_path: Path, lr: float, half: bool
) -> None:
    descent = partial(torch.optim.SGD, lr=lr)
    keep = PriorFile(str(tmp_path), half=half)
    with pytest.raises(
        FloatingPointError, match=r"prior\.safetensors is not written: the averaged weights are"
    ):
        trained([keep], tmp_path, 1, optimizer=descent)
    assert not keep.path.exists()


@pytest.mark.parametrize("life", [math.nan, math.inf])
def test_half_lives_that_are_not_finite_are_refused(life: float) -> None:
    with pytest.raises(ValueError, match=r"model\.ema_half_lives must be positive steps, got \[100\.0, "):
        PriorTraining(tiny_prior(), ema_half_lives=[100.0, life])


def test_a_mean_whose_loss_is_nan_is_not_the_best() -> None:
    assert best_of(torch.tensor([[math.nan, 1.0], [3.0, 4.0], [2.0, 2.5]])) == 2
