"""Settings that are others than those a training began with: where it goes on, those given now count."""

import copy
import warnings
from collections.abc import Mapping
from typing import Any

from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lightning_inv.fingerprints import path_of

PARTS = ("optimizer", "lr_scheduler")
"""What must be of the class that it was of."""
FOLLOWS = frozenset({"base_lrs", "_last_lr", "_schedulers"})
"""What of a schedule follows from settings that are told anyhow."""
NEEDS = ("amsgrad", "centered", "momentum")
"""Settings of optimizers that, where they are on, need numbers that are kept from the first step on."""
MOST = 10**7
"""The steps after which a schedule may be another one, at most: all of them are gone through."""


def given(optimizer: Optimizer, schedule: LRScheduler | None) -> dict[str, Any]:
    """What the settings say of an optimizer and its schedule, both of which were just made."""
    groups = [
        {name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups
    ]
    told = {"optimizer": path_of(type(optimizer)), "groups": groups, "lr_scheduler": None, "state": {}}
    if schedule is not None:
        told |= {"lr_scheduler": path_of(type(schedule)), "state": schedule.state_dict()}
    return copy.deepcopy(told)


def changes(optimizer: Optimizer, now: Mapping[str, Any], then: Any) -> dict[str, tuple[Any, Any]]:
    """What settings have changed since a checkpoint was written.

    Args:
        optimizer: The optimizer.
        now: What the settings say of it and of its schedule, by ``given``.
        then: The same of the run that wrote the checkpoint, as the checkpoint tells it.

    Returns:
        By name what a setting was, and what it is.

    Raises:
        ValueError: The optimizer or the schedule is of another class, a setting needs what the checkpoint
            lacks, or what the checkpoint tells is none.
    """
    try:
        for part in PARTS:
            if now[part] != then[part]:
                raise ValueError(
                    f"its model.{part} is {then[part]!r:.100}, but {now[part]} is given; a training begins "
                    "with another one from a prior, by model.start_from."
                )
        changed: dict[str, tuple[Any, Any]] = {}
        for own, held in zip(_parts(now), _parts(then), strict=True):
            changed |= _changed(own, held)
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"what it tells of its settings is none ({type(error).__name__}).") from None
    for name in NEEDS if type(optimizer) is not SGD else ():
        if name in changed and changed[name][1] and not changed[name][0]:
            raise ValueError(
                f"it has not what model.optimizer.{name}={changed[name][1]} needs from the first step on; a "
                "training begins with it from a prior, by model.start_from."
            )
    if now["lr_scheduler"]:  # it sets "lr"
        changed["lr"] = changed.pop("initial_lr", None)
    return {name: both for name, both in changed.items() if both and name not in FOLLOWS}


def take_over(
    optimizer: Optimizer, schedule: LRScheduler | None, fresh: tuple[Optimizer, LRScheduler | None], step: int
) -> None:
    """Lets the settings count that are given: the rate is what they say of the step that is reached.

    Args:
        optimizer: The optimizer, with its state from a checkpoint.
        schedule: The schedule, likewise.
        fresh: Both as they are made, which are changed.
        step: The steps that were made.

    Raises:
        ValueError: These are too many to go through.
    """
    if step > MOST:
        raise ValueError(f"its steps, {step}, are too many for other settings; at most {MOST} are.")
    theirs, moved = fresh
    if schedule is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the optimizer makes no step
            for _ in range(step):
                moved.step()
        schedule.load_state_dict(moved.state_dict())
    for group, own in zip(optimizer.param_groups, theirs.param_groups, strict=True):
        group.update({name: value for name, value in own.items() if name != "params"})


def _parts(told: Any) -> list[Mapping[str, Any]]:
    """The groups of weights, the schedule, and those that it is made of."""
    parts, left = [*told["groups"]], [told["state"]]
    while left:
        parts.append(left.pop())
        left += parts[-1].get("_schedulers", ())
    return parts


def _changed(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs; an older torch had fewer settings."""
    return {name: (then[name], value) for name, value in now.items() if _differ(value, then.get(name, value))}


def _differ(one: Any, other: Any) -> bool:
    """Whether two settings differ; those that cannot be compared do."""
    try:
        return bool(one != other)
    except (RuntimeError, ValueError):  # tensors of several numbers
        return True
