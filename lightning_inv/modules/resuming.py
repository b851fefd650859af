"""Where a run goes on, in Lightning's counts of batches."""

from typing import Any

from torch.optim import Optimizer

COUNTS = {"ready", "started", "processed", "completed", "_batches_that_stepped"}
"""What Lightning calls its counts."""


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


def check_optimizer(optimizer: Optimizer, path: str) -> None:
    """Finds an optimizer that was given what a checkpoint holds of one of another kind.

    Args:
        optimizer: The optimizer, which has its settings from the checkpoint.
        path: The file of the checkpoint.

    Raises:
        ValueError: It lacks settings that it needs.
    """
    for group in optimizer.param_groups:
        if lacking := sorted(optimizer.defaults.keys() - group.keys()):
            raise ValueError(
                f"{path} is of another model.optimizer: it has no {', '.join(lacking)}, which "
                f"{type(optimizer).__name__} needs. Give the one it was trained with, as in the config.yaml "
                "of its folder."
            )
