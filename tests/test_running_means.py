"""Several running means of the weights: the best by validation is the product."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tiny_prior
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from trainings import assert_same_training, checkpoint, trained, words

from lightning_inv.callbacks import PriorFile
from lightning_inv.cli import train
from lightning_inv.modules import PriorTraining
from lightning_inv.priors import load_prior, read_provenance

MEANS = "--model.ema_half_lives=[0.1,1000.0]"


class Watch(Callback):
    """Keeps the losses of all means at each validation, which was chosen, and its weights."""

    def __init__(self) -> None:
        self.losses: list[list[float]] = []
        self.told: list[float] = []
        self.by_time: list[list[float]] = []
        self.chosen: list[int] = []
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_validation_end(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        metrics = trainer.callback_metrics
        self.losses.append([metrics[f"val_by_mean/{k}"].item() for k in range(len(pl_module.means))])
        self.told.append(metrics["val/loss"].item())
        times = [f"val_by_time/{time:04d}" for time in pl_module.validation_times]
        self.by_time.append([metrics[time].item() for time in times])
        self.chosen.append(int(pl_module.best_mean))
        self.weights.append({name: w.clone() for name, w in pl_module.averaged.state_dict().items()})


def watched(folder: Path, half_lives: list[float], lr: float) -> Watch:
    """Five steps of descent with these means."""
    watch, descent = Watch(), partial(torch.optim.SGD, lr=lr)
    trained([watch, PriorFile(str(folder))], folder, 5, optimizer=descent, ema_half_lives=half_lives)
    return watch


def test_the_mean_of_the_least_loss_is_chosen(tmp_path: Path) -> None:
    """Of a short and a long one; so fast a descent is better averaged at some time and not at another."""
    watch = watched(tmp_path, [0.1, 1000.0], 1.0)
    assert watch.chosen == [losses.index(min(losses)) for losses in watch.losses]
    assert watch.told == [min(losses) for losses in watch.losses]
    assert len(set(map(tuple, watch.losses))) > 1


def test_the_losses_by_time_are_those_of_the_mean_that_was_chosen(tmp_path: Path) -> None:
    watch = watched(tmp_path, [0.1, 1000.0], 1.0)
    assert len(set(watch.chosen)) > 1
    for by_time, loss in zip(watch.by_time, watch.told, strict=True):
        assert sum(by_time) / len(by_time) == pytest.approx(loss)


@pytest.mark.parametrize(("half_lives", "chosen"), [([0.1, 1000.0], 0), ([1000.0, 0.1], 1)])
def test_where_the_loss_falls_the_shorter_mean_is_the_better(
    tmp_path: Path, half_lives: list[float], chosen: int
) -> None:
    assert watched(tmp_path, half_lives, 0.1).chosen[-1] == chosen


def test_the_prior_is_the_best_mean_of_the_best_validation(tmp_path: Path) -> None:
    watch = watched(tmp_path, [0.1, 1000.0], 0.1)
    best = min(range(len(watch.told)), key=watch.told.__getitem__)
    found = load_prior(tmp_path / "prior.safetensors").state_dict()
    torch.testing.assert_close(found, watch.weights[best], atol=0, rtol=0)
    assert read_provenance(tmp_path / "prior.safetensors")["val_loss"] == watch.told[best]


class Weights(Callback):
    """Keeps the weights of every step."""

    def __init__(self) -> None:
        self.weights: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: PriorTraining, *_: Any) -> None:
        self.weights.append(next(pl_module.denoiser.parameters()).detach().clone())


def test_a_half_life_says_when_a_weight_counts_half(tmp_path: Path) -> None:
    """The warm-up, 2 / 11 and 3 / 12 at first, is slower than a half-life of a quarter step."""
    keep = Weights()
    module = trained([keep], tmp_path, 3, ema_half_lives=[0.25, 1e9])
    short, long = keep.weights[0], keep.weights[0]
    for weights, warm in zip(keep.weights[1:], (2 / 11, 3 / 12), strict=True):
        short = torch.lerp(short, weights, 1 - 0.5**4)
        long = torch.lerp(long, weights, 1 - warm)
    for mean, expected in zip(module.means, (short, long), strict=True):
        torch.testing.assert_close(next(mean.module.parameters()), expected)


@pytest.mark.parametrize("steps", [2, 3])
def test_a_training_with_several_means_goes_on_as_the_straight_one(tmp_path: Path, steps: int) -> None:
    train(words(tmp_path / "straight", MEANS))
    train(words(tmp_path / "run", MEANS, f"--trainer.max_steps={steps}"))
    train(words(tmp_path / "run", MEANS, "--ckpt_path=last"))
    assert_same_training(tmp_path / "run", tmp_path / "straight")
    assert "best_mean" in checkpoint(tmp_path / "run")["state_dict"]


def test_one_decay_and_half_lives_are_not_given_both() -> None:
    with pytest.raises(ValueError, match=r"give model\.ema_decay or model\.ema_half_lives, not both"):
        PriorTraining(tiny_prior(), ema_decay=0.9, ema_half_lives=[10.0])


@pytest.mark.parametrize("half_lives", [[], [0.0], [10.0, -1.0]])
def test_half_lives_that_are_none_are_refused(half_lives: list[float]) -> None:
    with pytest.raises(ValueError, match=r"model\.ema_half_lives must be positive steps, got \["):
        PriorTraining(tiny_prior(), ema_half_lives=half_lives)
