"""A batch solved in parts: where memory is short, and where a solver fails for some of its images."""

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lightning_inv.modules.solutions import Solution
from lightning_inv.out_of_memory import OutOfMemory, lacks_memory, release

NUMERICAL = (FloatingPointError, OverflowError, torch.linalg.LinAlgError)
"""What a solver may raise because of the numbers of one image; a division by 0 is more likely a mistake."""

Places = Sequence[int]
"""Places of images in their batch."""
Solve = Callable[[Places], Solution]


def part_of(batch: dict[str, Any], places: Places) -> dict[str, Any]:
    """The images of a batch at these places."""
    return {
        key: value[list(places)] if isinstance(value, Tensor) else [value[i] for i in places]
        for key, value in batch.items()
    }


class Failure(NamedTuple):
    """Why images could not be solved together."""

    reason: str
    short: bool
    """Whether memory was short."""
    seconds: float
    """How long it took to find out."""


class Parts:
    """Solves batches as a whole if it can be, and else in parts.

    The noise of an image is its own, so parts change no result. A batch that does not fit into memory is
    halved, and those that follow begin with what did fit. Where a solver raises an error of numbers, images
    are solved one by one, and the one that raises it alone has failed.

    Args:
        halve: Whether to halve batches; else one that does not fit is an error.
    """

    def __init__(self, halve: bool) -> None:
        self.halve = halve
        self._most: dict[Any, int] = {}

    def solve(self, solve: Solve, count: int, title: str, blank: Tensor) -> Solution:
        """What a solver makes of a batch.

        Args:
            solve: Solves the images at these places.
            count: The images of the batch.
            title: What the solver is called.
            blank: What stands for an image that has failed, shape ``(K, 1, C, H, W)``.

        Raises:
            OutOfMemory: A single image does not fit, or ``halve`` is False.
        """
        pieces, start, alone = [], 0, 0
        while start < count:
            size = 1 if start < alone else self._most.get((title, blank.shape), count)
            part = range(start, min(start + size, count))
            found = attempt(solve, part)
            if isinstance(found, Failure) and found.short:
                self._lessen(len(part), title, blank)
                continue
            if isinstance(found, Failure) and len(part) > 1:
                alone = part.stop
                continue
            if isinstance(found, Failure):
                found = Solution(blank, 0, 0, found.seconds, None, [found.reason])
            pieces.append(found)
            start = part.stop
        return joined(pieces)

    def _lessen(self, count: int, title: str, blank: Tensor) -> None:
        """Takes a note that so many images at a time are too many, and says so."""
        release(blank.device)
        told = f"{count} images" if count > 1 else "a single image"
        told = f"{title} does not fit into memory with {told} of shape {tuple(blank.shape[2:])} at a time"
        if count == 1:
            raise OutOfMemory(
                f"{told}: give model.tile, with a prior of any size, or trainer.precision=bf16-mixed; fewer "
                "model.samples would not help. What is done stays."
            )
        if not self.halve:
            raise OutOfMemory(
                f"{told}: make data.batch_size smaller, or give model.halve_batch=true. What is done stays."
            )
        most = self._most[title, blank.shape] = (count + 1) // 2
        warnings.warn(f"{told}; going on with {most}, which changes no result.", stacklevel=2)


def attempt(solve: Solve, places: Places) -> Solution | Failure:
    """Solves, or says why that cannot be, where it is for want of memory or because of numbers.

    Only when this returns are the tensors gone that the traceback of an error held.
    """
    began = time.perf_counter()
    try:
        return solve(places)
    except (MemoryError, RuntimeError, ArithmeticError) as error:
        short = lacks_memory(error)
        if not (short or isinstance(error, NUMERICAL)):
            raise
        reason = f"{type(error).__name__.lstrip('_')}: {str(error).partition(chr(10))[0].rstrip('.')}"
        return Failure(reason, short, time.perf_counter() - began)


def joined(pieces: Sequence[Solution]) -> Solution:
    """The solution of a batch of those of its parts, in order: the most calls and memory, the mean time."""
    counts = [piece.samples.shape[1] for piece in pieces]
    seconds = sum(count * piece.seconds for count, piece in zip(counts, pieces, strict=True)) / sum(counts)
    peaks = [piece.peak_memory for piece in pieces if piece.peak_memory is not None]
    return Solution(
        torch.cat([piece.samples for piece in pieces], 1),
        max(piece.forward_calls for piece in pieces),
        max(piece.backward_calls for piece in pieces),
        seconds,
        max(peaks, default=None),
        [reason for piece in pieces for reason in piece.failed],
    )
