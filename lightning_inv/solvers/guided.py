"""Samplers that put an estimate of E[x | x_t, y] in the place of E[x | x_t]."""

import abc
from dataclasses import dataclass, field

from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate
from lightning_inv.operators import LinearOperator
from lightning_inv.solvers.base import GAUSSIAN, Problem, need_shares
from lightning_inv.solvers.sampler import Sampler, ddim_step


@dataclass(frozen=True)
class Guided(Sampler):
    """Steps of DDIM by an estimate that knows of y.

    The score of p(x_t | y) is that of the prior and g = grad log p(y | x_t); by Tweedie's formula
    E[x | x_t, y] = x_hat + (sigma_t^2 / alpha_t) g. Subclasses say what they take for it.

    Args:
        steps: The number of denoising steps.
        eta: The share of fresh noise: 0 for DDIM, 1 for DDPM.
        spacing: How the times are spaced, see ``Spacing``.
        travel: Which stretches of the way are walked several times; none if None.
    """

    requires = LinearOperator
    noises = GAUSSIAN

    eta: float = field(default=1.0, kw_only=True)

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_shares(self, "eta")

    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        estimate, noise = self.estimate(problem, x_t, t), problem.noise() if self.eta else None
        return ddim_step(problem.prior.schedule, estimate, t, s, noise, self.eta)

    @abc.abstractmethod
    def estimate(self, problem: Problem, x_t: Tensor, t: Tensor) -> Estimate:
        """E[x | x_t, y] and E[eps | x_t, y], or what stands for them."""
