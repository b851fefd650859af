"""Callbacks of both scripts."""

from lightning_inv.callbacks.checkpoint_io import AtomicCheckpointIO
from lightning_inv.callbacks.training import ImagesPerSecond, PriorFile, SampleGrid

__all__ = ["AtomicCheckpointIO", "ImagesPerSecond", "PriorFile", "SampleGrid"]
