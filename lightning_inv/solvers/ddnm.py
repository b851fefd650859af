"""Denoising diffusion null-space models.

Source: Wang et al. (2023), Zero-Shot Image Restoration Using Denoising Diffusion Null-Space Model,
https://arxiv.org/abs/2212.00490.
"""

from dataclasses import dataclass

from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.operators import LinearOperator, SVDOperator
from lightning_inv.solvers.base import GAUSSIAN, Problem, need_shares
from lightning_inv.solvers.ddrm import ddrm_step
from lightning_inv.solvers.sampler import Sampler


@dataclass(frozen=True)
class DDNM(Sampler):
    """Makes each estimate agree with y, and noises it again (algorithm 1):

        x' = x_hat + A^+ (y - A x_hat),    x_s = alpha_s x' + sigma_s (eta n + sqrt(1 - eta^2) eps_hat).

    y is taken for free of noise: what it has ends in the image. See ``DDNMPlus``.

    Args:
        steps: The number of denoising steps.
        eta: The share of fresh noise, in [0, 1].
        spacing: How the times are spaced.
        travel: Which stretches of the way are walked several times; none if None.
    """

    requires = LinearOperator

    steps: int = 100
    eta: float = 0.85

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_shares(self, "eta")

    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        alpha_s, sigma_s = problem.prior.schedule(s)
        x, eps = problem.denoise(x_t, t)
        x = problem.measurement.operator.prox(x, problem.y, 0.0)
        return alpha_s * x + sigma_s * (self.eta * problem.noise() + (1 - self.eta**2) ** 0.5 * eps)


@dataclass(frozen=True)
class DDNMPlus(Sampler):
    """DDNM for noisy y: its step is that of DDRM with eta_b = 1 (section 3.3), its start is white noise.

    The last step gives x_hat. So without noise y is met as well as x_hat meets it; that of DDNM meets it
    exactly.

    Args:
        steps: The number of denoising steps.
        eta: The share of fresh noise, in [0, 1].
        spacing: How the times are spaced.
        travel: Which stretches of the way are walked several times; none if None.
    """

    requires = SVDOperator
    noises = GAUSSIAN

    steps: int = 100
    eta: float = 0.85

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_shares(self, "eta")

    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return ddrm_step(problem, problem.denoise(x_t, t), s, self.eta, eta_b=1.0)
