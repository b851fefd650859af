"""A training that goes on with other settings: those given now count, and a warning tells of them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import refusal
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)
from trainings import checkpoint, words

from lightning_inv.cli import train
from lightning_inv.modules.changed_settings import changes, given, take_over
from lightning_inv.modules.learning_rate import WarmupCosine

Schedules = Callable[[Optimizer], LRScheduler]


def both(optimizer: Optimizer, gamma: float = 0.9) -> SequentialLR:
    return SequentialLR(optimizer, [ExponentialLR(optimizer, gamma), StepLR(optimizer, 3)], [6])


SCHEDULES: dict[str, Schedules | None] = {
    "none": None,
    "ours": partial(WarmupCosine, steps=20, warmup=3),
    "steps": partial(StepLR, step_size=2, gamma=0.5),
    "exponential": partial(ExponentialLR, gamma=0.9),
    "cosine": partial(CosineAnnealingLR, T_max=20),
    "a function": partial(LambdaLR, lr_lambda=lambda step: 1 / (1 + step)),
    "one cycle": partial(OneCycleLR, max_lr=0.3, total_steps=20),
    "cycles": partial(CyclicLR, base_lr=0.1, max_lr=0.2, step_size_up=3),
    "one after another": both,
}
"""Schedules of torch, in whose rate that of the optimizer is a factor or nothing."""


def made(schedule: Schedules | None, **settings: Any) -> tuple[SGD, LRScheduler | None, dict[str, Any]]:
    """An optimizer of a weight, its schedule, and what is told of both."""
    optimizer = SGD([nn.Parameter(torch.zeros(2))], **{"lr": 0.1, "momentum": 0.5, **settings})
    schedule = None if schedule is None else schedule(optimizer)
    return optimizer, schedule, given(optimizer, schedule)


def rates(optimizer: Optimizer, schedule: LRScheduler | None, steps: int) -> list[float]:
    """The rates of so many steps."""
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule is not None:
            schedule.step()
    return found


def gone_on(
    schedule: Schedules | None, other: Schedules | None, steps: int, **settings: Any
) -> tuple[list[float], dict[str, tuple[Any, Any]], Optimizer]:
    """The rates after some steps with the usual settings, what has changed, and the optimizer."""
    optimizer, moved, then = made(schedule)
    rates(optimizer, moved, steps)
    new, theirs, now = made(other, **settings)
    new.load_state_dict(optimizer.state_dict())
    if theirs is not None:
        theirs.load_state_dict(moved.state_dict())
    changed = changes(new, now, then)
    if changed:
        take_over(new, theirs, made(other, **settings)[:2], steps)
    return rates(new, theirs, 20 - steps - 1), changed, new


@pytest.mark.parametrize("steps", [1, 4, 9])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_another_rate_counts_as_if_it_had_been_given_at_first(schedule: Schedules | None, steps: int) -> None:
    optimizer, own, _ = made(schedule, lr=0.001)
    expected = rates(optimizer, own, 19)[steps:]
    found, changed, _ = gone_on(schedule, schedule, steps, lr=0.001)
    assert found == expected
    assert isinstance(own, OneCycleLR | CyclicLR) or changed["lr"] == (0.1, 0.001)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_same_settings_change_nothing(schedule: Schedules | None) -> None:
    optimizer, own, _ = made(schedule)
    found, changed, _ = gone_on(schedule, schedule, 7)
    assert (found, changed) == (rates(optimizer, own, 19)[7:], {})


def test_another_setting_of_the_optimizer_counts() -> None:
    *_, changed, optimizer = gone_on(None, None, 3, momentum=0.9, weight_decay=0.1)
    assert (optimizer.param_groups[0]["momentum"], optimizer.param_groups[0]["weight_decay"]) == (0.9, 0.1)
    assert changed == {"momentum": (0.5, 0.9), "weight_decay": (0, 0.1)}


OTHERS: dict[str, tuple[Schedules, Schedules, set[str]]] = {
    "ours": (SCHEDULES["ours"], partial(WarmupCosine, steps=30, warmup=2, floor=0.1), {"steps", "warmup"}),
    "steps": (SCHEDULES["steps"], partial(StepLR, step_size=3, gamma=0.1), {"step_size", "gamma"}),
    "exponential": (SCHEDULES["exponential"], partial(ExponentialLR, gamma=0.5), {"gamma"}),
    "cosine": (partial(CosineAnnealingLR, T_max=4), partial(CosineAnnealingLR, T_max=20), {"T_max"}),
    "polynomial": (
        partial(PolynomialLR, total_iters=4),
        partial(PolynomialLR, total_iters=20),
        {"total_iters"},
    ),
    "linear": (partial(LinearLR, total_iters=12), partial(LinearLR, total_iters=3), {"total_iters"}),
    "restarts": (
        partial(CosineAnnealingWarmRestarts, T_0=5),
        partial(CosineAnnealingWarmRestarts, T_0=3),
        {"T_0"},
    ),
    "one cycle": (SCHEDULES["one cycle"], partial(OneCycleLR, max_lr=0.3, total_steps=40), {"total_steps"}),
    "one after another": (both, partial(both, gamma=0.5), {"gamma"}),
}


@pytest.mark.parametrize("steps", [1, 4, 9])
@pytest.mark.parametrize(("one", "other", "told"), OTHERS.values(), ids=OTHERS)
def test_another_schedule_of_a_class_says_the_rate_of_the_step_that_is_reached(
    one: Schedules, other: Schedules, told: set[str], steps: int
) -> None:
    """Whatever the rate was: many schedules of torch multiply it, and it may be 0 by now."""
    optimizer, own, _ = made(other)
    expected = rates(optimizer, own, 19)[steps:]
    found, changed, _ = gone_on(one, other, steps)
    assert found == expected
    assert told <= changed.keys()
    assert "lr" not in changed


def test_settings_that_need_what_the_checkpoint_lacks_are_refused() -> None:
    parameter = [nn.Parameter(torch.zeros(2))]
    then, optimizer = given(AdamW(parameter), None), AdamW(parameter, amsgrad=True)
    with pytest.raises(ValueError, match=r"it has not what model.optimizer.amsgrad=True needs"):
        changes(optimizer, given(optimizer, None), then)


@pytest.mark.parametrize(
    ("other", "told"), [(None, "model.lr_scheduler is .*ExponentialLR', but None"), (both, "SequentialLR is")]
)
def test_another_schedule_is_refused(other: Schedules | None, told: str) -> None:
    *_, then = made(partial(ExponentialLR, gamma=0.9))
    optimizer, _, now = made(other)
    with pytest.raises(ValueError, match=told):
        changes(optimizer, now, then)


def test_a_training_goes_on_at_another_rate_and_says_so(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(words(run, "--trainer.max_steps=4"))
    with pytest.warns(UserWarning, match=r"settings have changed since .*last.ckpt was written: lr is 0.001"):
        train(words(run, "--ckpt_path=last", "--model.optimizer.lr=0.001"))
    (group,) = checkpoint(run)["optimizer_states"][0]["param_groups"]
    expected = WarmupCosine(AdamW([nn.Parameter(torch.zeros(1))], lr=0.001), steps=10, warmup=2)
    for _ in range(6):
        expected.optimizer.step()
        expected.step()
    assert (group["initial_lr"], group["lr"]) == (0.001, pytest.approx(expected.get_last_lr()[0]))


@pytest.mark.faults
def test_a_training_that_was_too_fast_goes_on_at_a_lower_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Its error says to lower the learning rate."""
    given = ["--model.optimizer=torch.optim.SGD", "--model.lr_scheduler=null", "--checkpoint.last_every=1"]
    run = tmp_path / "run"
    train(words(run, *given, "--model.optimizer.lr=0.01", "--trainer.max_steps=2"))
    said = refusal(train, words(run, *given, "--model.optimizer.lr=1e20", "--ckpt_path=last"), capsys)
    assert "Lower the learning rate" in said
    go_on = [*given, "--model.optimizer.lr=1e-6", f"--ckpt_path={run / 'checkpoints' / 'previous.ckpt'}"]
    train(words(run, *go_on))
    assert checkpoint(run)["optimizer_states"][0]["param_groups"][0]["lr"] == 1e-6


@pytest.mark.faults
def test_what_a_checkpoint_tells_of_its_settings_does_not_speak_to_the_terminal(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(words(run, "--trainer.max_steps=1"))
    content = checkpoint(run)
    content["given"]["groups"][0]["weight_decay"] = "0\n\x1b[31m" + "a" * 500
    torch.save(content, run / "checkpoints" / "forged.ckpt")
    with pytest.warns(UserWarning, match="settings have changed") as found:
        train(words(run, f"--ckpt_path={run / 'checkpoints' / 'forged.ckpt'}", "--trainer.max_steps=2"))
    (said,) = (str(one.message) for one in found if "settings have changed" in str(one.message))
    assert said.isprintable()
    assert "a" * 100 not in said


@pytest.mark.faults
def test_a_checkpoint_of_another_parametrisation_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Its weights have the same names and shapes."""
    train(words(tmp_path / "run", "--trainer.max_steps=1"))
    other = ["--model.denoiser=VelocityDenoiser", "--model.denoiser.shape=[1,8,8]"]
    other += ["--model.denoiser.network=TinyNetwork", "--model.denoiser.network.width=4"]
    said = refusal(train, words(tmp_path / "run", *other, "--ckpt_path=last"), capsys)
    assert "model.denoiser is lightning_inv.denoisers.velocity.VelocityDenoiser here and" in said
