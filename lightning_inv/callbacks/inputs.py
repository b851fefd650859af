"""What a run reads does not lie where it writes or clears: it would lose the files of its user."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning_inv.callbacks.places import written
from lightning_inv.data import ImageDataset
from lightning_inv.modules import Work


def check_inputs(
    folder: Path, problems: Mapping[str, Iterable[str]], images: ImageDataset, work: Iterable[Work]
) -> None:
    """Raises ValueError if a run would write or clear where something lies that it reads.

    Args:
        folder: The folder of the run.
        problems: The solvers of each problem, and those whose results may be cleared.
        images: The images that are read.
        work: What is done, whose operators may read files, such as masks.
    """
    places = {str(place.resolve()): place for place in written(folder, problems)}
    named = [path for one in work if one.measurement for path in _named(one.measurement.operator.recipe)]
    for source in filter(os.path.isdir, named):
        root = source.resolve()
        if over := [place for own, place in places.items() if root in Path(own).parents]:
            raise ValueError(_told(source, "holds", over[0]))
    for source, within in _within(_files(images, named), places):
        raise ValueError(_told(source, "lies in", within))


def _told(source: Path, how: str, place: Path) -> str:
    return f"{source} is read, and {how} {place}, where this run writes; give --folder another name."


def _files(images: ImageDataset, named: Iterable[Path]) -> Iterator[Path]:
    """All files that are read; a set of millions is not held twice."""
    yield from images.sources()
    for source in named:
        yield source
        yield from (Path(folder, name) for folder, _, names in os.walk(source) for name in names)


def _within(files: Iterable[Path], places: Mapping[str, Path]) -> Iterator[tuple[Path, Path]]:
    """The files that lie within one of the places, each with it; a folder is looked at once."""
    known: dict[str, Path | None] = {}
    for file in files:
        path = os.path.realpath(file) if os.path.islink(file) else str(file)
        parent = os.path.dirname(path)
        if parent not in known:
            real = Path(parent).resolve()
            known[parent] = next((places[str(p)] for p in (real, *real.parents) if str(p) in places), None)
        if (place := known[parent]) is not None:
            yield file, place


def _named(settings: Any) -> Iterator[Path]:
    """The files and folders that settings name."""
    if isinstance(settings, Mapping):
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        for value in settings:
            yield from _named(value)
    elif isinstance(settings, str | Path) and str(settings) and os.path.exists(settings):
        yield Path(settings)
