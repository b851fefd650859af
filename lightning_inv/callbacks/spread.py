"""Samples of one image that several processes draw: what each has of them, and how that becomes a result."""

import functools
import json
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_inv.callbacks.journal import Record
from lightning_inv.callbacks.manifest import are_measures
from lightning_inv.callbacks.scores import QUALITY, finite
from lightning_inv.files import own_name, read_weights, write_weights
from lightning_inv.metrics import psnr, ssim
from lightning_inv.moments import Moments

AVERAGED = ("psnr", "ssim", "consistency", "evaluations", "forward_calls", "backward_calls")
"""Measures of one sample, whose mean over samples is told."""
SUFFIX = ".safetensors"

Sums = dict[str, float | str | None]


@dataclass
class Tally:
    """Samples of an image that are gone: their numbers, moments and the sums of their measures.

    Args:
        index: The index of the image.
        samples: The numbers of the samples.
        moments: For each solver.
        sums: For each solver; a measure that some sample does not have is None. ``failed`` is why one of
            the samples is no result, if so.
    """

    index: int
    samples: list[int] = field(default_factory=list)
    moments: dict[str, Moments] = field(default_factory=dict)
    sums: dict[str, Sums] = field(default_factory=dict)

    def __add__(self, other: "Tally") -> "Tally":
        """The tally of the samples of both, which share none."""
        moments = {name: self.moments[name] + other.moments[name] for name in self.moments}
        sums = {name: _together(self.sums[name], other.sums[name]) for name in self.sums}
        return Tally(self.index, self.samples + other.samples, moments, sums)

    def write(self, path: Path, parts: Path) -> None:
        """Writes the file of a tally, whole or not at all, in ``parts`` at first."""
        tensors = {}
        for name, moments in self.moments.items():
            tensors |= {f"{name}/mean": moments.mean, f"{name}/squares": moments.squares}
        told = {"index": self.index, "samples": self.samples, "sums": self.sums}
        write_weights(path, {"tally": json.dumps(told)}, tensors, parts)

    @classmethod
    def read(cls, path: Path) -> "Tally":
        """Reads the file of a tally.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged.
        """
        header, tensors = read_weights(path)
        try:
            told = json.loads(header["tally"])
            moments = {
                name: Moments(len(told["samples"]), tensors[f"{name}/mean"], tensors[f"{name}/squares"])
                for name in told["sums"]
            }
            tally = cls(told["index"], told["samples"], moments, told["sums"])
            tally._check()
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is no tally of samples: {error}.") from None
        return tally

    def _check(self) -> None:
        """Raises ValueError if it is not as they are written."""
        numbers = (self.index, *self.samples)
        if not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise ValueError("its samples have no numbers")
        if len(set(self.samples)) < len(self.samples) or not all(map(are_measures, self.sums.values())):
            raise ValueError("its samples come twice, or have no measures that are numbers")
        for moments in self.moments.values():
            mean, squares = moments.mean, moments.squares
            if not (mean.dtype == squares.dtype == torch.double and mean.ndim == 3):
                raise ValueError("its moments are of no image")
            if mean.shape != squares.shape:
                raise ValueError("its moments are of two images")


def _together(one: Sums, other: Sums) -> Sums:
    """The sums of the samples of both; the most memory."""
    return {key: _both(key, one.get(key), other.get(key)) for key in one | other}


def _both(key: str, a: float | str | None, b: float | str | None) -> float | str | None:
    if key == "failed":
        return a or b
    if a is None or b is None:
        return None
    return max(a, b) if key == "peak_memory" else a + b


class SampleFiles:
    """The tallies of a folder, a file for each image and process that draws of its samples.

    Args:
        folder: The folder.
        parts: Where files lie while they are written.
        fits: Whether a tally can be of this run; others are passed over, as damaged ones are.
    """

    def __init__(self, folder: Path, parts: Path, fits: Callable[[Tally], bool] = lambda tally: True) -> None:
        self.folder, self.parts, self.fits = folder, parts, fits
        self._open: dict[int, tuple[Path, Tally]] = {}

    def add(self, index: int, sample: int, restored: dict[str, Tensor], scores: dict[str, Sums]) -> None:
        """Adds a sample of an image.

        Args:
            index: The index of the image.
            sample: The number of the sample.
            restored: The sample of each solver, shape ``(C, H, W)``.
            scores: Its measures.
        """
        moments = {name: Moments.of(x[None].cpu()) for name, x in restored.items()}
        new = Tally(index, [sample], moments, scores)
        path, tally = self._open.get(index, (self._name(index), None))
        self._open[index] = path, new if tally is None else tally + new

    def write(self) -> None:
        """Writes the tallies that have grown; those of images that did not are not to grow again."""
        for path, tally in self._open.values():
            tally.write(path, self.parts)

    def keep(self, indices: Sequence[int]) -> None:
        """Lets go of the tallies of all other images; their files stay."""
        self._open = {index: self._open[index] for index in indices if index in self._open}

    def _name(self, index: int) -> Path:
        """A file that no other process writes to."""
        return self.folder / f"{index:09d}-{own_name()}{SUFFIX}"

    def drawn(self) -> dict[int, frozenset[int]]:
        """The samples of each image that are drawn."""
        found: dict[int, set[int]] = {}
        for index, paths in self._paths().items():
            for tally in self._disjoint(index, paths):
                found.setdefault(index, set()).update(tally.samples)
        return {index: frozenset(samples) for index, samples in found.items()}

    def complete(self, indices: Sequence[int], count: int) -> Iterator[Tally]:
        """The tallies of those of the images of which all samples are drawn, each of all its processes.

        The files of an image are removed when the next one is asked for.

        Raises:
            ValueError: Files of an image do not fit each other.
        """
        paths = self._paths()
        for index in indices:
            parts = list(self._disjoint(index, paths.get(index, [])))
            if sum(len(part.samples) for part in parts) == count:
                try:
                    whole = functools.reduce(operator.add, parts)
                except (ArithmeticError, KeyError, TypeError, RuntimeError):
                    raise ValueError(
                        f"the tallies of the image {index} in {self.folder} do not fit each other; "
                        "remove them, and it is done anew."
                    ) from None
                yield whole
                for path in paths[index]:
                    path.unlink(missing_ok=True)

    def _paths(self) -> dict[int, list[Path]]:
        """The files of each image, in the order in which they were begun."""
        found: dict[int, list[Path]] = {}
        for path in sorted(self.folder.glob(f"[0-9]*{SUFFIX}")):
            if (index := path.name.split("-")[0]).isdecimal():  # else it is none of ours
                found.setdefault(int(index), []).append(path)
        return found

    def _disjoint(self, index: int, paths: Sequence[Path]) -> Iterator[Tally]:
        """The tallies of an image in files that are whole, with no sample that one before has."""
        seen: set[int] = set()
        shape = None
        for path in paths:
            try:
                tally = Tally.read(path)
            except (ValueError, FileNotFoundError):  # or it was merged just now
                continue
            if tally.index == index and self.fits(tally) and seen.isdisjoint(tally.samples):
                own = {name: moments.mean.shape for name, moments in tally.moments.items()}
                if shape in (None, own):
                    shape = own
                    seen.update(tally.samples)
                    yield tally


def record(tally: Tally, name: str, truth: Tensor | None) -> Record:
    """The record of an image; measures that need all samples at once are None.

    Args:
        tally: All its samples.
        name: Its name.
        truth: The true image, shape ``(C, H, W)``, if it is known.
    """
    return {
        "index": tally.index,
        "name": name,
        "solvers": {solver: _measures(tally, solver, truth) for solver in tally.moments},
    }


def _measures(tally: Tally, solver: str, truth: Tensor | None) -> dict[str, Any]:
    moments, sums, count = tally.moments[solver], tally.sums[solver], len(tally.samples)
    told = dict.fromkeys(QUALITY) | {
        key: None if value is None else value / count if key in AVERAGED else value
        for key, value in sums.items()
    }
    mean = moments.mean[None].float()
    if truth is not None:
        told |= {
            "psnr_of_mean": finite(psnr(mean, truth[None]))[0],
            "ssim_of_mean": finite(ssim(mean, truth[None]))[0],
            "spread": finite(moments.variance.mean()[None].sqrt())[0],
            "skill": finite((moments.mean - truth.double()).square().mean()[None].sqrt())[0],
        }
    return told
