"""Denoising diffusion restoration models for JPEG.

Source: Kawar et al. (2022), JPEG artifact correction using denoising diffusion restoration models,
https://arxiv.org/abs/2209.11888.
"""

from dataclasses import dataclass

from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.operators import Coding
from lightning_inv.schedules import time_grid
from lightning_inv.solvers.base import Problem, need_shares
from lightning_inv.solvers.sampler import Sampler


@dataclass(frozen=True)
class DDRMJPEG(Sampler):
    """Moves what coding loses from y to the estimate, and noises it again.

    It starts at a middle time from y, which is an image, and needs no SVD: with A = decode(encode(.)),

        x' = x_hat - A(x_hat) + y,
        x_s = alpha_s (eta_b x' + (1 - eta_b) x_hat) + sigma_s (eta n + sqrt(1 - eta^2) eps_hat).

    The official code has 1 - eta where sqrt(1 - eta^2) keeps the variance; at its eta = 1 they agree.

    Args:
        steps: The number of denoising steps.
        eta: The share of fresh noise, in [0, 1].
        eta_b: The trust in y, in [0, 1].
        first: The time of the start, in [1, T].
        spacing: How the times are spaced; evenly in the source.
        travel: Which stretches of the way are walked several times; none if None.
    """

    requires = Coding

    steps: int = 20
    eta: float = 1.0
    eta_b: float = 0.4
    first: int = 300

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_shares(self, "eta", "eta_b")
        if self.spacing == "sigma":
            raise ValueError("DDRMJPEG.spacing must be even, uniform or quadratic, got 'sigma'.")
        if not self.steps <= self.first <= prior.schedule.T:
            raise ValueError(
                f"DDRMJPEG.first must be in [steps, T] = [{self.steps}, {prior.schedule.T}], "
                f"got {self.first}."
            )

    def times(self, prior: Denoiser) -> Tensor:
        return time_grid(self.steps, self.first, self.spacing)

    def start(self, problem: Problem, t: Tensor) -> Tensor:
        alpha_t, sigma_t = problem.prior.schedule(t)
        return alpha_t * problem.y + sigma_t * problem.noise()

    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        alpha_s, sigma_s = problem.prior.schedule(s)
        x, eps = problem.denoise(x_t, t)
        kept = (1 - self.eta**2) ** 0.5
        trusted = x - problem.measurement.operator(x) + problem.y
        mixed = self.eta_b * trusted + (1 - self.eta_b) * x
        return alpha_s * mixed + sigma_s * (self.eta * problem.noise() + kept * eps)
