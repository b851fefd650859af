"""Callbacks of both scripts."""

from lightning_inv.callbacks.checkpoint_io import AtomicCheckpointIO
from lightning_inv.callbacks.progress import StepProgressBar
from lightning_inv.callbacks.report import as_text, report
from lightning_inv.callbacks.results import ResultWriter
from lightning_inv.callbacks.training import Checkpoints, ImagesPerSecond, PriorFile, SampleGrid

__all__ = [
    "AtomicCheckpointIO",
    "Checkpoints",
    "ImagesPerSecond",
    "PriorFile",
    "ResultWriter",
    "SampleGrid",
    "StepProgressBar",
    "as_text",
    "report",
]
