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


def check_callbacks(callbacks: Iterable[Callback]) -> None:
    """Raises ValueError for a callback that no training may have."""
    for callback in callbacks:
        if isinstance(callback, SpikeDetection):
            raise ValueError(
                "trainer.callbacks: SpikeDetection is not supported, for Lightning cannot restore it; a "
                "loss that is no finite number ends a training here without it."
            )
        if isinstance(callback, StochasticWeightAveraging) and "serialize" in str(callback._device):
            raise ValueError(
                "trainer.callbacks: give StochasticWeightAveraging the argument device, such as null; its "
                "own default cannot be written to a file."
            )
        if isinstance(callback, LearningRateFinder):
            raise ValueError(
                "trainer.callbacks: LearningRateFinder is not supported, for it sets a field of the model; "
                "the rate is a setting of model.optimizer."
            )
        if isinstance(callback, GradientAccumulationScheduler):
            raise ValueError(
                "trainer.callbacks: GradientAccumulationScheduler is not supported, a training could not go "
                "on exactly; give trainer.accumulate_grad_batches instead."
            )


def check_going_on(callbacks: Iterable[Callback]) -> None:
    """Raises ValueError for a callback that lets a training begin anew which goes on from a checkpoint."""
    for callback in callbacks:
        if isinstance(callback, BatchSizeFinder):
            raise ValueError(
                "trainer.callbacks: BatchSizeFinder begins a training anew; take it out of the configuration "
                "to go on from a checkpoint."
            )
