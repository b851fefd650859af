"""The loop of samplers, and the steps of diffusion that they share."""

import abc
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from lightning_inv.denoisers import Denoiser, Estimate
from lightning_inv.schedules import Schedule, Spacing
from lightning_inv.solvers.base import Problem, Solver


@dataclass(frozen=True)
class TimeTravel:
    """Walks stretches of the way several times, so that parts of an image come to agree with each other.

    After each ``length`` steps x_s is noised to where they began and goes there again, ``repeats`` times in
    all. The codes of the sources walk the first stretch once, and that of DDNM goes back from x_hat, not x_s.

    Source: Lugmayr et al. (2022), RePaint, https://arxiv.org/abs/2201.09865, section 4.2; Wang et al. (2023),
        https://arxiv.org/abs/2212.00490.

    Args:
        length: The steps in a stretch.
        repeats: How often it is walked.
    """

    length: int = 10
    repeats: int = 10

    def __post_init__(self) -> None:
        if self.length < 1 or self.repeats < 1:
            raise ValueError(
                f"TimeTravel needs a length and repeats of at least 1, got {self.length} and {self.repeats}."
            )

    def way(self, times: list[int]) -> list[int]:
        """The times in the order of a run, given those of a straight way."""
        found = times[:1]
        for i in range(0, len(times) - 1, self.length):
            stretch = times[i : i + self.length + 1]
            found += stretch[1:] + stretch * (self.repeats - 1)
        return found


@dataclass(frozen=True)
class Sampler(Solver):
    """Walks x_t from noise to an image; subclasses say how to go from t to s < t.

    Args:
        steps: The number of denoising steps.
        spacing: How the times are spaced, see ``Spacing``.
        travel: Which stretches of the way are walked several times; none if None.
    """

    spacing: Spacing = field(default="even", kw_only=True)
    travel: TimeTravel | None = field(default=None, kw_only=True)

    @property
    def length(self) -> int:
        return self.steps * (self.travel.repeats if self.travel else 1)

    @torch.no_grad()
    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        times = self.times(problem.prior).tolist()
        way = self.travel.way(times) if self.travel else times
        at = dict(zip(times, torch.tensor(times), strict=True))  # a time on a device would wait for it
        x_t = self.start(problem, at[way[0]])
        for t, s in pairwise(way):
            if s > t:
                x_t = noised(problem.prior.schedule, x_t, at[t], at[s], problem.noise())
                continue
            x_t = self.step(problem, x_t, at[t], at[s])
            yield x_t

    def times(self, prior: Denoiser) -> Tensor:
        """The times from the first to 0, shape ``(steps + 1,)``."""
        return prior.schedule.timesteps(self.steps, self.spacing)

    def start(self, problem: Problem, t: Tensor) -> Tensor:
        """Draws x_t at the first time."""
        return problem.noise()

    @abc.abstractmethod
    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Draws x_s given x_t."""


def ddim_step(
    schedule: Schedule, estimate: Estimate, t: Tensor, s: Tensor, noise: Tensor | None, eta: float
) -> Tensor:
    """Draws x_s from the estimate at t; eta = 1 is DDPM, eta = 0 is deterministic.

    x_s = alpha_s x + sqrt(sigma_s^2 - c^2) eps + c noise,
    with c = eta (sigma_s / sigma_t) sqrt(1 - (alpha_t / alpha_s)^2).

    Source: Song et al. (2021), https://arxiv.org/abs/2010.02502, equations 12 and 16.
    """
    (alpha_s, sigma_s), fresh = schedule(s), fresh_noise(schedule, t, s, eta)
    kept = (sigma_s**2 - fresh**2).clamp(min=0).sqrt()
    x_s = alpha_s * estimate.x + kept * estimate.eps
    return x_s if noise is None else x_s + fresh * noise


def fresh_noise(schedule: Schedule, t: Tensor, s: Tensor, eta: float) -> Tensor:
    """The standard deviation c of the noise that ``ddim_step`` adds."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(t), schedule(s)
    return eta * sigma_s / sigma_t * (1 - (alpha_t / alpha_s) ** 2).sqrt()


def noised(schedule: Schedule, x_t: Tensor, t: Tensor, s: Tensor, noise: Tensor) -> Tensor:
    """Draws x_s given x_t for s > t.

    x_s = a x_t + sqrt(sigma_s^2 - a^2 sigma_t^2) noise, with a = alpha_s / alpha_t.
    """
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(t), schedule(s)
    a = alpha_s / alpha_t
    return a * x_t + (sigma_s**2 - (a * sigma_t) ** 2).clamp(min=0).sqrt() * noise
