"""The loop of samplers, and the one step of diffusion that they share."""

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
class Sampler(Solver):
    """Walks x_t from noise to an image; subclasses say how to go from t to s < t.

    Args:
        steps: The number of denoising steps.
        spacing: How the times are spaced, see ``Spacing``.
    """

    spacing: Spacing = field(default="even", kw_only=True)

    @torch.no_grad()
    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        times = self.times(problem.prior).to(problem.rng.device)
        x_t = self.start(problem, times[0])
        for t, s in pairwise(times):
            x_t = self.step(problem, x_t, t, s)
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
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(t), schedule(s)
    fresh = eta * sigma_s / sigma_t * (1 - (alpha_t / alpha_s) ** 2).sqrt()
    kept = (sigma_s**2 - fresh**2).clamp(min=0).sqrt()
    x_s = alpha_s * estimate.x + kept * estimate.eps
    return x_s if noise is None else x_s + fresh * noise
