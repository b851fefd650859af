"""What Lightning's loggers and profilers write into the folder of a run."""

import os
from itertools import count
from pathlib import Path

from lightning import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger

from lightning_inv.callbacks.places import check_files, check_place

METRICS = "metrics.csv"
"""What a CSVLogger writes; one of a run before it removes."""


def check_outputs(trainer: Trainer, folder: Path) -> None:
    """Raises ValueError if a logger or a profiler would write by way of a link in the folder of a run.

    Where they write to another folder, that was chosen, and is not looked at.
    """
    places = [_place(logger) for logger in trainer.loggers]
    for place in filter(None, places):
        _check_way(folder, place)
        check_files(place, ("hparams.yaml", METRICS))
    profiler = trainer.profiler
    chosen = getattr(profiler, "dirpath", None)
    place = Path(chosen) if chosen else next(iter(places), None) or folder
    _check_way(folder, place)
    if getattr(profiler, "filename", None):
        name = profiler._prepare_filename(extension="")
        check_files(place, (path.name for path in place.glob("*") if name in path.name))


def keep_metrics(trainer: Trainer) -> None:
    """Gives metrics that are there another name, where a CSVLogger would remove them."""
    for logger in trainer.loggers if trainer.is_global_zero else ():
        if isinstance(logger, CSVLogger) and (path := Path(logger.log_dir) / METRICS).is_file():
            path.rename(free_name(path))


def free_name(path: Path) -> Path:
    """The path with a number behind its stem that no file has yet."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in count(1))
    return next(name for name in numbered if not name.exists())


def _place(logger: Logger) -> Path | None:
    """Where a logger writes, if it tells."""
    place = getattr(logger, "log_dir", None) or logger.save_dir
    return Path(place) if place else None


def _check_way(folder: Path, place: Path) -> None:
    folder, place = Path(os.path.abspath(folder)), Path(os.path.abspath(place))
    if place.is_relative_to(folder):
        check_place(folder, place / "any")
