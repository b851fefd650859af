"""Callbacks of Lightning that a training fails with."""

from collections.abc import Iterable

from lightning.pytorch.callbacks import Callback, SpikeDetection, StochasticWeightAveraging


def check_callbacks(callbacks: Iterable[Callback]) -> None:
    """Raises ValueError for a callback that a training would fail with, or could not be gone on with."""
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
