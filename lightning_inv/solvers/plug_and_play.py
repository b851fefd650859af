"""Diffusion models as plug-and-play priors.

Source: Graikos et al. (2022), https://arxiv.org/abs/2206.09012, algorithm 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.solvers.base import Problem, need_nonnegative
from lightning_inv.solvers.descent import Descent, MakeOptimizer, Start
from lightning_inv.solvers.plans import Oscillating, TimePlan
from lightning_inv.solvers.sampler import ddim_step


@dataclass(frozen=True)
class PlugAndPlay(Descent):
    """Descends the denoising loss of an image, through the network, together with its constraint.

    Each step draws one eps and goes down

        |eps - eps_hat(alpha_t mu + sigma_t eps)|^2 / pixels + weight_i |y - A(mu)|^2 / (2 entries of y)

    The defaults are those of the paper's MNIST experiment. Its constraints see the image clipped to [-1, 1];
    ours see it as it is, since noise takes y out of that range. A step costs a forward and a backward
    evaluation of the network.

    Args:
        steps: The number of gradient steps.
        lr: The learning rate, whatever the optimizer.
        weight: The weight of the constraint at the first step.
        anneal: Whether it falls linearly to 0, as weight (S - i) / S, or stays.
        plan: The times of the steps.
        jacobian: Whether the network is differentiated. If not, the prior's gradient is
            2 (eps_hat - eps) / pixels.
        finish: The image is noised to this time at the end and denoised by DDPM; 0 to leave it.
        start_from: The first image: white noise as published, or see ``Start``.
        optimizer: Any optimizer of PyTorch that needs no closure; Adam if None.
        lr_end: The learning rate falls linearly to this share of ``lr``.
    """

    usual_optimizer: ClassVar[MakeOptimizer] = torch.optim.Adam

    steps: int = 1000
    lr: float = 0.01
    weight: float = 0.01
    anneal: bool = True
    plan: TimePlan = field(default_factory=Oscillating)
    jacobian: bool = True
    finish: int = 0
    start_from: Start = "noise"

    @property
    def length(self) -> int:
        return self.steps + self.finish

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_nonnegative(self, "weight")
        if not 0 <= self.finish <= prior.schedule.T:
            raise ValueError(f"PlugAndPlay.finish must be in [0, {prior.schedule.T}], got {self.finish}.")

    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        x = None
        for x in super().iterates(problem):
            yield x
        yield from self._finish(problem, x)

    @torch.no_grad()
    def _finish(self, problem: Problem, x: Tensor) -> Iterator[Tensor]:
        """Noises the image to time ``finish`` and denoises it step by step."""
        schedule = problem.prior.schedule
        times = torch.arange(self.finish, -1, -1, device=x.device)
        alpha_t, sigma_t = schedule(times[0])
        x_t = alpha_t * x + sigma_t * problem.noise() if self.finish else x
        for t, s in pairwise(times):
            x_t = ddim_step(schedule, problem.denoise(x_t, t), t, s, problem.noise(), eta=1.0)
            yield x_t

    def loss(self, problem: Problem, t: list[Tensor], i: int, mu: Tensor) -> Tensor:
        alpha_t, sigma_t = problem.prior.schedule(t[0])
        eps = problem.noise()
        x_t = alpha_t * mu + sigma_t * eps
        if self.jacobian:
            error = (problem.denoise(x_t, t[0]).eps - eps).square()
        else:
            with torch.no_grad():
                eps_hat = problem.denoise(x_t, t[0]).eps
            error = 2 * (eps_hat - eps) * mu
        weight = self.weight * ((self.steps - i) / self.steps if self.anneal else 1.0)
        return (error.flatten(1).mean(1) + weight * problem.energy(mu)).sum()
