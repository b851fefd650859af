"""The order in which a descent visits the times of the prior."""

import abc
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lightning_inv.noise import NoiseStream
from lightning_inv.schedules import Spacing, time_grid


@dataclass(frozen=True)
class TimePlan(abc.ABC):
    """A time for every step."""

    @abc.abstractmethod
    def times(self, steps: int, T: int) -> Tensor:
        """The times, shape ``(steps,)``, in 1, ..., T; of plans that are drawn, the times around.

        Raises:
            ValueError: A setting is out of its range, or there are more steps than the plan has times.
        """

    def draw(self, steps: int, T: int, rng: NoiseStream) -> Tensor:
        """The times of each image, shape ``(steps, B)``, or ``(steps, 1)`` if all have the same."""
        return self.times(steps, T)[:, None].to(rng.device)


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
class Reversed(TimePlan):
    """Another plan from its end to its beginning: ascending times, of a plan that descends.

    Args:
        plan: The other plan.
    """

    plan: TimePlan = field(default_factory=Grid)

    def times(self, steps: int, T: int) -> Tensor:
        return self.plan.times(steps, T).flip(0)


@dataclass(frozen=True)
class Shuffled(TimePlan):
    """The times of another plan in an order that is drawn for each image.

    Args:
        plan: The other plan.
    """

    plan: TimePlan = field(default_factory=Grid)

    def times(self, steps: int, T: int) -> Tensor:
        return self.plan.times(steps, T)

    def draw(self, steps: int, T: int, rng: NoiseStream) -> Tensor:
        return self.times(steps, T).to(rng.device)[rng.uniform((steps,)).argsort(1).T]


@dataclass(frozen=True)
class Oscillating(TimePlan):
    """A descending line with a cosine on it whose swing shrinks, so that structure is revisited.

    t_i / T = low + (1 - low) [(S - i) / line + (S - i) / share cos(i / period)] / S with S steps, clipped to
    [1, T]. The defaults are those of the MNIST experiment; ``configs/solvers/paper`` has the others.

    Source: the code of Graikos et al. (2022).

    Args:
        share: What the descending line S - i is divided by to give the swing.
        period: Steps in which the cosine turns by one radian. It is not scaled with the number of steps.
        line: What S - i is divided by to give the line.
        whole: Whether these two quotients are rounded down.
        low: Where the line ends, over T.
        jitter: Up to so many times are added or subtracted, drawn for each image and step.
    """

    share: float = 4
    period: float = 50.0
    line: float = 1.0
    whole: bool = True
    low: float = 0.0
    jitter: int = 0

    def times(self, steps: int, T: int) -> Tensor:
        for name in ("share", "period", "line"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Oscillating.{name} must be positive, got {getattr(self, name)}.")
        if not 0 <= self.low < 1 or self.jitter < 0:
            raise ValueError(
                f"Oscillating needs low in [0, 1) and jitter of at least 0, got {self.low} and {self.jitter}."
            )
        i = torch.arange(steps, dtype=torch.double)
        line, swing = (steps - i) / self.line, (steps - i) / self.share
        if self.whole:
            line, swing = line.floor(), swing.floor()
        height = (line + swing * torch.cos(i / self.period)) / steps
        return ((self.low + (1 - self.low) * height) * T).long().clamp(1, T)

    def draw(self, steps: int, T: int, rng: NoiseStream) -> Tensor:
        times = super().draw(steps, T, rng)
        if not self.jitter:
            return times
        shift = (rng.uniform((steps,)).T * (2 * self.jitter + 1)).floor().long() - self.jitter
        return (times + shift).clamp(1, T)
