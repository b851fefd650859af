"""Where callbacks draw."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger


def tensorboard(trainer: Trainer) -> Any:
    """The summary writer of the run's TensorBoard logger on the first process, or None."""
    found = next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)
    return found.experiment if found and trainer.is_global_zero else None


@contextmanager
def quiet_writers() -> Iterator[None]:
    """Lets the threads of TensorBoard end without a traceback: the next to write hears of their errors."""
    usual = threading.excepthook

    def told(failure: threading.ExceptHookArgs) -> None:
        if not type(failure.thread).__module__.startswith("tensorboard."):
            usual(failure)

    threading.excepthook = told
    try:
        yield
    finally:
        threading.excepthook = usual
