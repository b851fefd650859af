"""Checkpoints that are none of the training that is to go on from them: one sentence names the file."""

import copy
import math
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import refusal
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from trainings import checkpoint, trained, words

from lightning_inv.callbacks import Checkpoints, PriorFile
from lightning_inv.cli import train
from lightning_inv.modules import PriorTraining
from lightning_inv.modules.learning_rate import WarmupCosine

pytestmark = pytest.mark.faults
DROPPED = object()


def goes_on(content: Any, folder: Path, *more: str) -> list[str]:
    """The words of a training that goes on from this content."""
    torch.save(content, folder / "a.ckpt")
    return words(folder / "run", f"--ckpt_path={folder / 'a.ckpt'}", *more)


def refused(content: Any, folder: Path, capsys: pytest.CaptureFixture, *more: str) -> str:
    """What is said of such a checkpoint, on one line, behind its name."""
    said = " ".join(refusal(train, goes_on(content, folder, *more), capsys).split())
    assert f"{folder / 'a.ckpt'} " in said
    return said.rpartition(f"{folder / 'a.ckpt'} ")[2]


# Files of other kinds


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([1, 2], "it holds a list, not a dict."),
        (None, "it holds None, not a dict."),
        (torch.zeros(3), "it holds a Tensor, not a dict."),
        ({}, "it has no pytorch-lightning_version, state_dict, loops, callbacks, optimizer_states, lr_sch"),
        (
            {"weight": torch.zeros(3)},
            "it holds weights alone. A training begins with those of a prior's file",
        ),
    ],
    ids=["list", "None", "tensor", "empty", "weights"],
)
def test_a_file_that_is_no_checkpoint_of_a_training_is_named(
    content: Any, told: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert f"is no checkpoint of a training: {told}" in refused(content, tmp_path, capsys)


def test_a_checkpoint_of_weights_alone_says_what_it_lacks(
    straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    content = checkpoint(straight)
    for name in ("callbacks", "optimizer_states", "lr_schedulers"):
        del content[name]
    told = "is no checkpoint of a training: it has no callbacks, optimizer_states, lr_schedulers."
    assert told in refused(content, tmp_path, capsys)


def test_a_checkpoint_of_another_optimizer_is_named_and_stays(
    straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    other = ["--model.optimizer=torch.optim.SGD", "--model.optimizer.lr=0.1"]
    said = refused(checkpoint(straight, "previous"), tmp_path, capsys, *other)
    assert "is of another model.optimizer: it has no dampening, momentum" in said
    assert not list(tmp_path.glob("run/**/*.ckpt"))


# The law


COUNT = ("loops", "fit_loop", "epoch_loop.batch_progress", "current", "completed")
CHANGES: list[tuple[tuple, Any]] = [
    *((path, DROPPED) for path in (("state_dict",), ("loops",), ("loops", "fit_loop"), ("global_step",))),
    *((path, "x") for path in (("loops",), ("callbacks",), ("optimizer_states",), ("epoch",))),
    *((("pytorch-lightning_version",), value) for value in (DROPPED, 2, "x")),
    *((("accumulate",), value) for value in ("x", 0, math.nan)),
    *((("loops", "fit_loop"), value) for value in (3, {})),
    *((COUNT[:-2], value) for value in (3, {}, DROPPED)),
    *((COUNT, value) for value in ("x", math.nan, -1, None)),
    (("loops", "fit_loop", "epoch_progress"), {}),
    (("loops", "fit_loop", "epoch_progress", "total", "completed"), "x"),
    *((("callbacks", "PriorFile"), value) for value in (3, {}, DROPPED)),
    *((("given",), value) for value in (3, {}, DROPPED)),
    *((("given", "groups"), value) for value in (3, [], [3], [{"lr": "x", "eps": torch.ones(2)}])),
    *((("given", "state"), value) for value in (3, {}, {"base_lrs": torch.ones(3)})),
    *((("denoiser",), value) for value in (3, {}, {"init_args": 3}, DROPPED)),
    (("callbacks", "PriorFile", "best"), "x"),
    (("callbacks", "PriorFile", "start_from"), {"a": 1}),
    (("state_dict", "best_mean"), torch.tensor(99)),
    (("state_dict", "denoiser.network.enter.bias"), "x"),
    *((("optimizer_states",), value) for value in ([], [3], [{}], [{"state": {}, "param_groups": []}])),
    *((("optimizer_states", 0, "param_groups", 0, name), "x") for name in ("lr", "betas", "params")),
    (("optimizer_states", 0, "state", 0, "exp_avg"), DROPPED),
    (("optimizer_states", 0, "state", 0), 3),
    *((("lr_schedulers",), value) for value in ([], [3], [{}])),
    *((("lr_schedulers", 0, name), "x") for name in ("base_lrs", "last_epoch", "_step_count", "lr_lambdas")),
]


def changed(content: dict[str, Any], path: tuple, value: Any) -> dict[str, Any]:
    content = copy.deepcopy(content)
    inner = reduce(lambda part, key: part[key], path[:-1], content)
    if value is DROPPED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return content


def short(folder: Path, steps: int, begun: Path | None = None) -> None:
    """A training of so many steps, with all that a checkpoint tells of, into a folder."""
    descent, rate = partial(torch.optim.AdamW, lr=0.01), partial(WarmupCosine, steps=10, warmup=2)
    keep = [PriorFile(str(folder)), Checkpoints(str(folder / "checkpoints"))]
    trained(keep, folder, steps, begun, optimizer=descent, lr_scheduler=rate, noise_levels=1)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The checkpoint of a training of two steps."""
    folder = tmp_path_factory.mktemp("begun")
    short(folder, 2)
    return checkpoint(folder)


@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_a_changed_checkpoint_trains_or_is_refused_by_name(
    path: tuple, value: Any, content: dict[str, Any], tmp_path: Path
) -> None:
    torch.save(changed(content, path, value), tmp_path / "a.ckpt")
    try:
        short(tmp_path / "run", 3, tmp_path / "a.ckpt")
    except ValueError as error:
        assert str(error).startswith(f"{tmp_path / 'a.ckpt'} is no checkpoint of ")  # noqa: PT017


def test_a_checkpoint_as_it_was_trains(content: dict[str, Any], tmp_path: Path) -> None:
    """Else the law would prove nothing."""
    torch.save(content, tmp_path / "a.ckpt")
    short(tmp_path / "run", 3, tmp_path / "a.ckpt")
    assert checkpoint(tmp_path / "run")["global_step"] == 3


# What is no fault of the checkpoint


class Bug(Callback):
    """Makes a mistake in a hook of Lightning."""

    def on_fit_start(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        raise KeyError("a mistake")


class LateBug(Callback):
    """Makes a mistake in the first step."""

    def on_after_backward(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        raise KeyError("a mistake")


@pytest.mark.parametrize("bug", [Bug, LateBug])
def test_a_mistake_in_a_run_that_goes_on_keeps_its_traceback(
    bug: type, straight: Path, tmp_path: Path
) -> None:
    more = f"--trainer.callbacks={__name__}.{bug.__name__}"
    with pytest.raises(KeyError, match="a mistake"):
        train(goes_on(checkpoint(straight, "previous"), tmp_path, more))


def test_a_run_that_cannot_be_restored_leaves_its_checkpoints(
    straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Half restored, it has steps, but not all that belongs to them."""
    content = changed(checkpoint(straight, "previous"), ("lr_schedulers",), [3])
    refused(content, tmp_path, capsys)
    assert not list(tmp_path.glob("run/**/*.ckpt"))
