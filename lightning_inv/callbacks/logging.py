"""Where callbacks draw."""

from typing import Any

from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger


def tensorboard(trainer: Trainer) -> Any:
    """The summary writer of the run's TensorBoard logger on the first process, or None."""
    found = next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)
    return found.experiment if found and trainer.is_global_zero else None
