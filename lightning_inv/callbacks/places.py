"""Where results are written: in the folder of a run and nowhere else, whatever images are called.

Names come from files, from keys of buckets and from data modules of users. A link within the folder, which
somebody may have put there, is not followed; the folder itself may be one, as to another disk.
"""

import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_inv.traces import has_checkpoints, has_configuration, has_manifest

DONE = ("records", "tallies")
"""Folders that tell what is done."""
PICTURES = ("truth", "measurement", "grids")
"""Folders of pictures besides those of the solvers."""
SHELF = 10_000
"""The pictures in one folder."""
FOREIGN = ("hparams.yaml",)
"""Files that Lightning writes into the folder of a run, by way of links, too."""
REPORTS = ("metrics.csv", "summary.json")
"""Files that tell of a problem."""
COMPARED = ("comparison.csv", "comparison.md", "comparison.png", "psnr_nfe.png", "psnr_seconds.png")
"""Files that tell of several problems."""
TRAINED = ("prior.safetensors", "samples.png", "quality.json", "neighbours.png")
"""Files that a training writes besides its checkpoints."""
LONGEST = 255
"""The bytes of the name of a file, at most, on common file systems."""


def picture_place(index: int, name: str) -> str:
    """Where the picture of an image lies in a folder of pictures, from ``SHELF`` on in one within it."""
    shelf = index // SHELF
    return f"{shelf:04d}/{name}.png" if shelf else f"{name}.png"


def is_picture(place: str, kind: str, known: Container[str]) -> bool:
    """Whether a run has written the picture at a place in a folder of them.

    Args:
        place: The place.
        kind: The name of the folder.
        known: Where the pictures of the images lie that it may be of.
    """
    if place in known:
        return True
    around, _, file = place.rpartition("/")
    stem = file.removesuffix(".png")
    if kind.endswith("_samples") and re.fullmatch("[0-9]{3,}[.]png", file):
        return f"{around}.png" in known
    number = kind == "grids" and re.fullmatch("[0-9]{6,}", stem)
    return bool(number) and place == picture_place(int(stem), stem)


def check_names(names: Sequence[str], samples: int = 1) -> None:
    """Finds names whose pictures cannot be written, or would be written elsewhere or over one another.

    Args:
        names: The names.
        samples: The samples of each that are written, in a folder of its name, if there are several.

    Raises:
        ValueError: There is one; the message names it.
    """
    taken: set[str] = set()
    for index, name in enumerate(names):
        why = name_fault(name)
        file = picture_place(index, name)
        if why or file in taken:
            why = why or "is that of two images"
            raise ValueError(f"the name {name!r} of an image {why}; files of results are made of it.")
        taken.add(file)
    if samples > 1:
        _check_samples(taken, samples)
    folders = {file.rpartition("/")[0] for file in taken}
    while folders := folders - {""}:
        if both := folders & taken:
            raise ValueError(f"{min(both)!r} would be the file of one image and the folder of another.")
        folders = {folder.rpartition("/")[0] for folder in folders}


def _check_samples(taken: set[str], samples: int) -> None:
    """Raises ValueError if a sample of one image would be the folder of samples of another."""
    numbers = set(map("{:03d}".format, range(samples)))
    for file in taken:
        parts = file.removesuffix(".png").split("/")
        for k, part in enumerate(parts[1:], 1):
            number, suffix, rest = part.partition(".png")
            if suffix and not rest and number in numbers:
                first = "/".join(parts[:k])
                if f"{first}.png" in taken:
                    raise ValueError(
                        f"the samples of the image {first!r} would lie in the folder of those of "
                        f"{'/'.join(parts)!r}; files of results are made of these names."
                    )


def name_fault(name: Any) -> str:
    """What is wrong with a name; nothing if it is a path to a place within a folder."""
    if not isinstance(name, str):
        return f"is no text, but {type(name).__name__}"
    parts = name.split("/")
    if {"", ".", ".."} & set(parts) or "\0" in name or (os.sep != "/" and os.sep in name):
        return "is no path within a folder"
    if name.isascii() and len(name) + 4 <= LONGEST:
        return ""
    try:
        longest = max(len(os.fsencode(part)) for part in (*parts[:-1], f"{parts[-1]}.png"))
    except UnicodeEncodeError:
        return "cannot be that of a file"
    return f"with .png is longer than {LONGEST} bytes" if longest > LONGEST else ""


def check_place(folder: Path, path: Path) -> None:
    """Raises ValueError if a file is not within a folder, or a link leads away between them."""
    between = path.relative_to(folder).parts[:-1]
    for part in between:
        folder = folder / part
        if part == ".." or folder.is_symlink():
            raise ValueError(f"{folder} leads to another place; nothing is written by way of it.")


def check_folders(folder: Path, problems: Mapping[str, Iterable[str]]) -> None:
    """Raises ValueError if a place that a run writes to is a link, or no folder.

    Args:
        folder: The folder of the run.
        problems: The solvers of each problem.
    """
    for place in written(folder, problems):
        check_place(folder, place / "any")
        if place.exists() and not place.is_dir():
            raise ValueError(f"{place} is in the place of a folder of results, but is none: move it away.")
    check_foreign(folder)


def written(folder: Path, problems: Mapping[str, Iterable[str]]) -> Iterator[Path]:
    """The folders that a run writes to; arguments are those of ``check_folders``."""
    for problem, solvers in problems.items():
        pictures = [f"{name}{end}" for name in solvers for end in ("", "_std", "_samples")]
        yield from (folder / problem / name for name in (*DONE, ".parts", *PICTURES, *pictures))
    yield folder / "shards"


def check_foreign(folder: Path) -> None:
    """Raises ValueError if a file that a library writes, not we, is a link."""
    check_files(folder, FOREIGN)


def check_files(folder: Path, names: Iterable[str]) -> None:
    """Raises ValueError if a link, a folder or a device is in the place of a file that a run writes."""
    for path in (folder / name for name in names):
        if path.is_symlink():
            raise ValueError(f"{path} leads to another place; nothing is written by way of it.")
        if path.exists() and not path.is_file():
            raise ValueError(
                f"{path} is in the place of a file that is written here, but is none: move it away."
            )


def problems_in(folder: Path) -> list[str]:
    """The problems whose results a folder holds; a run of its own within it has a configuration there."""
    found = (path.parent for path in folder.glob("*/manifest.json") if has_manifest(path.parent))
    return sorted(path.name for path in found if not (path / "config.yaml").exists())


def check_no_other(folder: Path, problems: Sequence[str]) -> None:
    """Raises ValueError if a restoration would write among what another run has left.

    Args:
        folder: The folder of the restoration.
        problems: The names of its problems; none if there is but one, which has no name.
    """
    checkpoints = folder / "checkpoints"
    begun = checkpoints.is_dir() and (folder / "config.yaml").exists()
    if begun or has_checkpoints(folder):
        raise ValueError(f"{folder} holds a training; give --folder another name for the results.")
    if own := [name for name in problems if (folder / name / "config.yaml").exists()]:
        raise ValueError(f"{folder / own[0]} holds a run of its own; give --folder another name.")
    around, alone = folder.resolve().parent, not (folder / "config.yaml").exists()
    if alone and (folder / "manifest.json").exists() and _has_problems(around):
        raise ValueError(
            f"{folder} holds results of a problem of the run in {around}; give --folder another name."
        )
    _check_replaced(folder, ["config.yaml", *REPORTS, *(COMPARED if problems else ())])
    for name in problems:
        _check_replaced(folder / name, REPORTS)


def _has_problems(folder: Path) -> bool:
    """Whether a folder may be that of a run of several problems."""
    return has_configuration(folder) and not (folder / "checkpoints").exists()


def check_no_restoration(folder: Path) -> None:
    """Raises ValueError if a training would write among what another run, or somebody, has left."""
    check_no_results(folder)
    _check_replaced(folder, ["config.yaml", *TRAINED])


def _check_replaced(folder: Path, names: Iterable[str]) -> None:
    """Raises ValueError if a file of a run would replace what no run has left; a link may go."""
    known = has_manifest(folder) or has_checkpoints(folder) or has_configuration(folder)
    check_left([folder / name for name in names], known or bool(problems_in(folder)))


def check_left(paths: Iterable[Path], ours: bool, left: str = "no run has left it") -> None:
    """Raises ValueError if a file would be replaced that no run has left; a link may go.

    Args:
        paths: Where files will be written.
        ours: Whether files that are there are of a run.
        left: Why they are not, where they are not.
    """
    for path in paths:
        if path.is_symlink() or not path.exists() or (ours and path.is_file()):
            continue
        raise ValueError(
            f"{path} is in the place of a file that is written here, but {left}: move it away, or give "
            "--folder another name."
        )


def check_no_results(folder: Path) -> None:
    """Raises ValueError if a folder holds results of a restoration, with its configuration."""
    if (folder / "manifest.json").exists() or problems_in(folder):
        raise ValueError(f"{folder} holds results of infer.py; give --folder another name for the training.")
