"""Callbacks of both scripts."""

from lightning_inv.callbacks.checkpoint_io import AtomicCheckpointIO, check_checkpoint, check_strategy, naming
from lightning_inv.callbacks.checkpoints import GOES_ON, Checkpoints, checkpoint_folder, checkpoint_of
from lightning_inv.callbacks.comparison import Comparison
from lightning_inv.callbacks.linear_baseline import LinearBaseline
from lightning_inv.callbacks.progress import StepProgressBar
from lightning_inv.callbacks.report import as_text, report
from lightning_inv.callbacks.results import ResultWriter
from lightning_inv.callbacks.sample_quality import SampleQuality
from lightning_inv.callbacks.saved_config import SaveConfig
from lightning_inv.callbacks.training import (
    ImagesPerSecond,
    LastValidation,
    PriorFile,
    SampleGrid,
    SaveTrainConfig,
)

__all__ = [
    "GOES_ON",
    "AtomicCheckpointIO",
    "Checkpoints",
    "Comparison",
    "ImagesPerSecond",
    "LastValidation",
    "LinearBaseline",
    "PriorFile",
    "ResultWriter",
    "SampleGrid",
    "SampleQuality",
    "SaveConfig",
    "SaveTrainConfig",
    "StepProgressBar",
    "as_text",
    "check_checkpoint",
    "check_strategy",
    "checkpoint_folder",
    "checkpoint_of",
    "naming",
    "report",
]
