"""What a batch has become after ``predict_step``."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement


@dataclass(frozen=True)
class Solution:
    """What one solver made of a batch.

    Args:
        samples: K results an image, shape ``(K, B, C, H, W)``.
        forward_calls: Forward evaluations of the network for one sample of each image.
        backward_calls: Backward evaluations, likewise.
        seconds: Wall time for one image, all samples.
        peak_memory: The most memory in use meanwhile, in MiB; None where it cannot be measured.
        failed: Why an image has no result, for each image; None if it has one.
    """

    samples: Tensor
    forward_calls: int
    backward_calls: int
    seconds: float
    peak_memory: float | None
    failed: list[str | None]

    @property
    def evaluations(self) -> int:
        """Network evaluations, forward and backward, for one sample of each image."""
        return self.forward_calls + self.backward_calls


@dataclass(frozen=True)
class Restored:
    """A batch after ``predict_step``.

    Args:
        indices: The index of each image.
        names: The name of each image.
        truth: The true images, shape ``(B, C, H, W)``, if they are known.
        y: The measurements, if there are any.
        measurement: How they were made.
        solutions: What each solver made of them.
        problem: The name of the problem; empty where there is only one.
        drawn: Which of the samples of each image this one is, where a batch holds single samples.
    """

    indices: list[int]
    names: list[str]
    truth: Tensor | None
    y: Tensor | None
    measurement: Measurement | None
    solutions: dict[str, Solution]
    problem: str = ""
    drawn: list[int] | None = None


class FiniteSteps:
    """Watches the images of a solver: the last step after which all numbers of an image were finite.

    The device is not asked until the end.
    """

    def __init__(self) -> None:
        self.last: list[Tensor] = []

    def watch(self, iterates: Iterable[Tensor]) -> Iterator[Tensor]:
        """The images of one sample after each step, shape ``(B, C, H, W)``."""
        last = None
        for i, x in enumerate(iterates, 1):
            fine = x.isfinite().flatten(1).all(1)
            last = torch.where(fine, i, 0 if last is None else last)
            yield x
        self.last.append(last)

    def reasons(self, samples: Tensor, steps: int) -> list[str | None]:
        """Why images have no result; an image has none if some of its samples is not finite.

        Args:
            samples: The samples watched, in this order, shape ``(K, B, C, H, W)``.
            steps: The steps of each.
        """
        lacking = (~samples.isfinite()).flatten(2).sum(2).sum(0).tolist()
        first = (torch.stack(self.last).amin(0) + 1).tolist()
        return [
            f"{count} of {samples[:, 0].numel()} numbers are not finite, from step {step} of {steps} on"
            if count
            else None
            for count, step in zip(lacking, first, strict=True)
        ]


def warn_of_failures(title: str, names: Sequence[str], failed: Sequence[str | None]) -> None:
    """Tells of the images of a batch that a solver has failed for, of the first by name.

    Args:
        title: What the solver is called.
        names: The name of each image.
        failed: Why it has no result.
    """
    told = [f"{name} ({why})" for name, why in zip(names, failed, strict=True) if why is not None]
    if told:
        more = f" and {len(told) - 1} more of its batch" if len(told) > 1 else ""
        warnings.warn(f"{title} has no result for {told[0]}{more}.", stacklevel=2)
