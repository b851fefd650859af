"""Settings that are others than those a training began with: where it goes on, those given now count."""

import copy
import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lightning_inv.fingerprints import path_of

PARTS = ("optimizer", "lr_scheduler")
"""What must be of the class that it was of."""
MOVED = frozenset({"_last_lr", "_schedulers", "base_lrs", "last_epoch"})
"""What of a schedule is no setting, or follows from those of the optimizer."""


def given(optimizer: Optimizer, schedule: LRScheduler | None) -> dict[str, Any]:
    """What the settings say of an optimizer and its schedule, both of which were just made."""
    groups = [
        {name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups
    ]
    told = {"optimizer": path_of(type(optimizer)), "groups": groups, "lr_scheduler": None, "state": {}}
    if schedule is not None:
        told |= {"lr_scheduler": path_of(type(schedule)), "state": schedule.state_dict()}
    return copy.deepcopy(told)


def take_over(
    optimizer: Optimizer, schedule: LRScheduler | None, now: Mapping[str, Any], then: Any
) -> dict[str, tuple[Any, Any]]:
    """Lets settings count that have changed since a checkpoint was written; all else in it stays.

    Args:
        optimizer: The optimizer, with its state from the checkpoint.
        schedule: The schedule, likewise.
        now: What the settings say of both, by ``given``.
        then: The same of the run that wrote the checkpoint, as the checkpoint tells it.

    Returns:
        What has changed, by name: what it was, and what it is.

    Raises:
        ValueError: The optimizer or the schedule is of another class, or what the checkpoint tells is none.
    """
    try:
        for part in PARTS:
            if now[part] != then[part]:
                raise ValueError(
                    f"its model.{part} is {then[part]}, but {now[part]} is given; a training begins with "
                    "another one from a prior, by model.start_from."
                )
        changed: dict[str, tuple[Any, Any]] = {}
        for group, own, held in zip(optimizer.param_groups, now["groups"], then["groups"], strict=True):
            changed |= _take_group(group, own, held)
        return changed if schedule is None else changed | _take_state(schedule, now["state"], then["state"])
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"what it tells of its settings is none ({type(error).__name__}).") from None


def _changes(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs; an older torch had fewer settings."""
    return {name: (then[name], value) for name, value in now.items() if _differ(value, then.get(name, value))}


def _take_group(
    group: dict[str, Any], now: Mapping[str, Any], then: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Lets the settings of a group of weights count; the rate stays where its schedule has it by now."""
    changed = _changes(now, then)
    if "initial_lr" in now:  # there is a schedule, which sets "lr"
        changed.pop("lr", None)
        if "initial_lr" in changed:
            moved = group["lr"] / group["initial_lr"] if group["initial_lr"] else math.nan
            group["lr"] = now["initial_lr"] * (moved if math.isfinite(moved) else 1.0)
    group.update({name: value for name, (_, value) in changed.items()})
    return {name.removeprefix("initial_"): both for name, both in changed.items()}


def _take_state(schedule: Any, now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Lets the settings of a schedule count, and of those that it is made of."""
    changed = _changes(now, then)
    taken = {name: value for name, (_, value) in changed.items() if name not in MOVED - {"base_lrs"}}
    if taken:
        schedule.load_state_dict({**schedule.state_dict(), **taken})
    told = {name: both for name, both in changed.items() if name not in MOVED}
    within = (getattr(schedule, "_schedulers", ()), now.get("_schedulers", ()), then.get("_schedulers", ()))
    for inner, own, held in zip(*within, strict=True):
        told |= _take_state(inner, own, held)
    return told


def _differ(one: Any, other: Any) -> bool:
    """Whether two settings differ; those that cannot be compared do."""
    try:
        return bool(one != other)
    except (RuntimeError, ValueError):  # tensors of several numbers
        return True
