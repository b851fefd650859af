"""Where a run goes on, in Lightning's counts of batches."""

from typing import Any

from lightning import LightningModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lightning_inv.messages import shown
from lightning_inv.modules.changed_settings import changes, take_over

COUNTS = {"ready", "started", "processed", "completed", "_batches_that_stepped"}
"""What Lightning calls its counts."""
SINGLE = frozenset({"step", "eta", "mu", "mu_product"})
"""What torch's optimizers keep one number of for each tensor of weights; of all else as many as it has."""
OTHERWISE = frozenset({"LBFGS", "Adafactor"})
"""Optimizers of torch that keep other shapes."""
MOST = 2**53
"""The steps that a schedule has made, at most; what is above may be no float."""

QUOTED = 80
"""The letters of a setting that a warning quotes, at most."""


def begin_with_a_step(checkpoint: dict[str, Any], accumulate: int) -> None:
    """Lets a run go on with the first batch of a step.

    The weights are those after the last whole step, so the batches after it come again; and the batches
    before it count as they would with the present accumulation.

    Args:
        checkpoint: The checkpoint; changed in place.
        accumulate: The batches of one step.

    Raises:
        ValueError: A count is none.
    """
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    for counts in (progress["total"], progress["current"]):
        before = counts["completed"]
        batches = before // checkpoint.get("accumulate", accumulate) * accumulate
        if batches != before:
            counts.update(dict.fromkeys(counts, batches))
    _check_counts(checkpoint["loops"]["fit_loop"])


def _check_counts(loop: dict[str, Any]) -> None:
    """Raises ValueError unless all counts of a loop, and of those within it, are whole numbers from 0."""
    for name, value in loop.items():
        if isinstance(value, dict):
            _check_counts(value)
        elif name in COUNTS and not (isinstance(value, int) and value >= 0):
            raise ValueError(f"the count {name!r} of its loops must be a whole number from 0, got {value!r}.")


def go_on(module: LightningModule, now: dict[str, Any], then: Any) -> None:
    """Finds what cannot be gone on with; of settings that have changed a warning tells.

    Args:
        module: What is trained, by one optimizer, which has its state from a checkpoint if there is one.
        now: What the settings say of the optimizer and of its schedule.
        then: What the checkpoint tells that they said; None if there is none, or it does not.

    Raises:
        ValueError: The checkpoint is not of this training.
    """
    optimizer, schedule = module.optimizers(use_pl_optimizer=False), module.lr_schedulers()
    path = module.trainer.ckpt_path
    check_optimizer(optimizer, path)
    if schedule is not None:
        check_schedule(schedule, path)
    try:
        changed = {} if then is None else changes(optimizer, now, then)
        if changed:
            (fresh,), others = module.configure_optimizers()
            anew = others[0]["scheduler"] if others else None
            take_over(optimizer, schedule, (fresh, anew), module.global_step)
    except ValueError as error:
        raise ValueError(f"{path} is no checkpoint of this training: {error}") from None
    told = [f"{name} is {_quoted(own)} now, not {_quoted(held)}" for name, (held, own) in changed.items()]
    if told:
        rank_zero_warn(f"settings have changed since {path} was written: {', '.join(told)}.")


def _quoted(value: Any) -> str:
    """A setting, which a stranger may have written, in a few letters."""
    text = shown(repr(value))
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}..."


def check_optimizer(optimizer: Optimizer, path: str) -> None:
    """Finds an optimizer that was given what a checkpoint holds of one of another kind.

    Args:
        optimizer: The optimizer, which has its settings from the checkpoint.
        path: The file of the checkpoint.

    Raises:
        ValueError: It lacks settings that it needs, or has numbers for weights of other shapes.
    """
    for group in optimizer.param_groups:  # torch has differentiable for all, as they are restored
        if lacking := sorted(optimizer.defaults.keys() - group.keys() - {"differentiable"}):
            raise ValueError(
                f"{path} is of another model.optimizer: it has no {', '.join(lacking)}, which "
                f"{type(optimizer).__name__} needs. Give the one it was trained with, as in the config.yaml "
                "of its folder."
            )
    kind = type(optimizer)
    if not kind.__module__.startswith("torch.optim.") or kind.__name__ in OTHERWISE:
        return
    for parameter, state in optimizer.state.items():
        for name, value in state.items() if isinstance(parameter, Tensor) and isinstance(state, dict) else ():
            shape = () if name in SINGLE else parameter.shape
            if isinstance(value, Tensor) and value.shape != shape:
                raise ValueError(
                    f"{path} is no checkpoint of this training: its optimizer has {name!r} of the shape "
                    f"{tuple(value.shape)} for a weight that needs {tuple(shape)}."
                )


def check_schedule(schedule: LRScheduler, path: str) -> None:
    """Finds a schedule that a checkpoint has given what is no state of one.

    Torch lets a state replace anything, methods as well.

    Args:
        schedule: The schedule, which has its state from the checkpoint.
        path: The file of the checkpoint.

    Raises:
        ValueError: A value hides a method, or there are more steps than can be.
    """
    for name, value in vars(schedule).items():
        hides = callable(getattr(type(schedule), name, None)) and not callable(value)
        if hides or (name == "last_epoch" and isinstance(value, int) and abs(value) > MOST):
            raise ValueError(
                f"{path} is no checkpoint of this training: {name!r} is no state of a schedule of "
                f"model.lr_scheduler, got {str(type(value)) if hides else 'a number above 2**53'}."
            )
