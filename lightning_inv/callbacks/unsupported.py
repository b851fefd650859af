"""Callbacks of Lightning that a training fails with, or could not go on with exactly."""

from collections.abc import Iterable

from lightning.pytorch.callbacks import (
    BatchSizeFinder,
    Callback,
    GradientAccumulationScheduler,
    LearningRateFinder,
    SpikeDetection,
    StochasticWeightAveraging,
)

NEVER = {
    SpikeDetection: "is not supported, for Lightning cannot restore it; a loss that is no finite number ends "
    "a training here without it",
    LearningRateFinder: "is not supported, for it sets a field of the model; the rate is a setting of "
    "model.optimizer",
    GradientAccumulationScheduler: "is not supported, a training could not go on exactly; give "
    "trainer.accumulate_grad_batches instead",
}
"""Callbacks that no training may have, and why."""


def check_callbacks(callbacks: Iterable[Callback]) -> None:
    """Raises ValueError for a callback that no training may have."""
    for callback in callbacks:
        for kind, why in NEVER.items():
            if isinstance(callback, kind):
                raise ValueError(f"trainer.callbacks: {kind.__name__} {why}.")
        if isinstance(callback, StochasticWeightAveraging) and "serialize" in str(callback._device):
            raise ValueError(
                "trainer.callbacks: give StochasticWeightAveraging the argument device, such as null; its "
                "own default cannot be written to a file."
            )


def check_going_on(callbacks: Iterable[Callback]) -> None:
    """Raises ValueError for a callback that lets a training begin anew which goes on from a checkpoint."""
    if any(isinstance(callback, BatchSizeFinder) for callback in callbacks):
        raise ValueError(
            "trainer.callbacks: BatchSizeFinder begins a training anew; take it out of the configuration to "
            "go on from a checkpoint."
        )
