"""Diffusion posterior sampling.

Source: Chung et al. (2023), Diffusion Posterior Sampling for General Noisy Inverse Problems,
https://arxiv.org/abs/2209.14687, algorithm 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate
from lightning_inv.settings import need_nonnegative
from lightning_inv.solvers.base import Problem, need_shares
from lightning_inv.solvers.jacobian import linearized
from lightning_inv.solvers.sampler import Sampler, ddim_step


@dataclass(frozen=True)
class StepDown(Sampler):
    """What DPS and MCG share: settings, see ``DPS``, and a step of DDPM with one down |y - A(x_hat)|."""

    steps: int = 1000
    zeta: float = 0.3
    reference: int | None = 12288
    eta: float = 1.0

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_shares(self, "eta")
        need_nonnegative(self, "zeta")
        if self.reference is not None and self.reference < 1:
            raise ValueError(
                f"{type(self).__name__}.reference must be at least 1 or null, got {self.reference}."
            )

    def descended(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Draws x_s given x_t, and takes the step down."""
        estimate, gradient = guidance(problem, x_t, t, self.reference)
        noise = problem.noise() if self.eta else None
        return ddim_step(problem.prior.schedule, estimate, t, s, noise, self.eta) - self.zeta * gradient


@dataclass(frozen=True)
class DPS(StepDown):
    """Steps of DDPM, each followed by a step down |y - A(x_hat)|, differentiated through the network:

        x_s = ancestral(x_t) - zeta sqrt(m / reference) grad |y - A(x_hat(x_t))|.

    The paper has the gradient of the square, over the norm: its zeta is half of ours, which is that of its
    code. The norm is that of each image; the official code takes it over the batch. It grows with the square
    root of m, the number of entries that were measured, and the pull that one zeta exerts shrinks with it:
    hence the factor, with which a zeta chosen for images of one size serves another. Residuals are weighted
    where the noise differs from entry to entry. Variances are those of DDPM; the official code has learned
    ones, and clips x_hat.

    Args:
        steps: The number of denoising steps, each one forward and one backward evaluation.
        zeta: The size of the step down.
        reference: The number of measured entries that zeta was chosen for: those of x4 super-resolution of
            256 x 256 RGB. None leaves zeta as it is, as in the paper.
        eta: The share of fresh noise: 0 for DDIM, 1 for DDPM.
        spacing: How the times are spaced.
        travel: Which stretches of the way are walked several times; none if None.
    """

    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return self.descended(problem, x_t, t, s)


def guidance(problem: Problem, x_t: Tensor, t: Tensor, reference: int | None) -> tuple[Estimate, Tensor]:
    """The estimate at x_t, and sqrt(m / reference) grad |y - A(x_hat(x_t))|, shape ``(B, C, H, W)``."""
    measurement, y = problem.measurement, problem.y
    estimate, pull = linearized(problem, x_t, t)
    with torch.enable_grad():
        x = estimate.x.requires_grad_()
        energy = measurement(x, y)
        (down,) = torch.autograd.grad(energy.sum(), x)
    norm = (2 * energy.detach()).sqrt().clamp(min=torch.finfo(y.dtype).tiny)
    seen = measurement.operator.observed(y).expand_as(y).flatten(1).sum(1)
    scale = (seen / reference).sqrt() if reference else torch.ones_like(norm)
    x = x.detach()
    return Estimate(x, estimate.eps), pull(down / norm.view(-1, 1, 1, 1)) * scale.view(-1, 1, 1, 1)
