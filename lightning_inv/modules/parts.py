"""A batch solved in parts: where memory is short, and where a solver fails for some of its images."""

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_inv.modules.solutions import Solution
from lightning_inv.out_of_memory import OutOfMemory, lacks_memory, release

NUMERICAL = (ArithmeticError, torch.linalg.LinAlgError)
"""What a solver may raise because of the numbers of one image."""

Places = Sequence[int]
"""Places of images in their batch."""
Solve = Callable[[Places], Solution]


def part_of(batch: dict[str, Any], places: Places) -> dict[str, Any]:
    """The images of a batch at these places."""
    return {
        key: value[list(places)] if isinstance(value, Tensor) else [value[i] for i in places]
        for key, value in batch.items()
    }


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
        most = self._most.get((title, blank.shape), count)
        return joined(self._pieces(solve, range(count), most, title, blank))

    def _pieces(self, solve: Solve, places: Places, most: int, title: str, blank: Tensor) -> list[Solution]:
        """The solutions of parts of at most so many images, in order."""
        parts = [places[start : start + most] for start in range(0, len(places), most)]
        return [piece for part in parts for piece in self._piece(solve, part, title, blank)]

    def _piece(self, solve: Solve, places: Places, title: str, blank: Tensor) -> list[Solution]:
        began = time.perf_counter()
        try:
            return [solve(places)]
        except (MemoryError, RuntimeError, ArithmeticError) as error:
            short = lacks_memory(error)
            if not (short or isinstance(error, NUMERICAL)):
                raise
            reason = f"{type(error).__name__.lstrip('_')}: {str(error).partition(chr(10))[0]}"
        # Only here, where the error is gone, are the tensors gone that its traceback held.
        if not short and len(places) == 1:
            return [Solution(blank, 0, 0, time.perf_counter() - began, None, [reason])]
        most = self._smaller(len(places), title, blank) if short else 1
        return self._pieces(solve, places, most, title, blank)

    def _smaller(self, count: int, title: str, blank: Tensor) -> int:
        """How many images to solve at a time where so many do not fit; says so."""
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
        return most


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
