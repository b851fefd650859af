"""The order in which a descent visits the times of the prior."""

import abc
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_inv.schedules import Spacing, time_grid


@dataclass(frozen=True)
class TimePlan(abc.ABC):
    """A time for every step."""

    @abc.abstractmethod
    def times(self, steps: int, T: int) -> Tensor:
        """The times, shape ``(steps,)``, in 1, ..., T."""


@dataclass(frozen=True)
class Grid(TimePlan):
    """Descends over a grid, as samplers do: 951, 901, ..., 1 for 20 steps of 1000.

    The grid may be squeezed into part of the times. Where y says much of every pixel, high times only pull an
    image away from it; where y is noisy, times with less noise than y let the noise back in.

    Args:
        spacing: How the times are spaced.
        high: The upper end over T.
        low: The lower end over T.
    """

    spacing: Spacing = "even"
    high: float = 1.0
    low: float = 0.0

    def times(self, steps: int, T: int) -> Tensor:
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(f"a grid needs 0 <= low < high <= 1, got {self.low} and {self.high}.")
        grid = time_grid(steps, T, self.spacing)[:-1]
        return (self.low * T + grid * (self.high - self.low)).ceil().long()


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

    def times(self, steps: int, T: int) -> Tensor:
        if self.share < 1 or self.period <= 0:
            raise ValueError(
                f"Oscillating needs positive share and period, got {self.share} and {self.period}."
            )
        i = torch.arange(steps, dtype=torch.double)
        left = steps - i
        swing = (left / self.share).floor() * torch.cos(i / self.period)
        return ((left + swing) / steps * T).long().clamp(1, T)
