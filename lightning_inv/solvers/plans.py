"""The order in which a descent visits the times of the prior."""

import abc
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TimePlan(abc.ABC):
    """A time for every step."""

    def times(self, steps: int, T: int) -> Tensor:
        """The times, shape ``(steps,)``, in 1, ..., T."""
        return (self.fraction(torch.arange(steps, dtype=torch.double), steps) * T).long().clamp(1, T)

    @abc.abstractmethod
    def fraction(self, i: Tensor, steps: int) -> Tensor:
        """T / T of the steps i = 0, ..., steps - 1, before it is cut to [1 / T, 1]."""


@dataclass(frozen=True)
class Linear(TimePlan):
    """From T down to 1 along a line."""

    def fraction(self, i: Tensor, steps: int) -> Tensor:
        return (steps - i) / steps


@dataclass(frozen=True)
class Oscillating(TimePlan):
    """A descending line with a cosine on it whose swing shrinks, so that structure is revisited.

    t_i / T = ((S - i) + floor((S - i) / share) cos(i / period)) / S, with S steps.

    Source: the code of Graikos et al. (2022), MNIST experiment.

    Args:
        share: The line's height over the swing.
        period: Steps in which the cosine turns by one radian. It is not scaled with the number of steps.
    """

    share: int = 4
    period: float = 50.0

    def fraction(self, i: Tensor, steps: int) -> Tensor:
        left = steps - i
        return (left + (left / self.share).floor() * torch.cos(i / self.period)) / steps
