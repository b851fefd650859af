"""Denoising diffusion models for plug-and-play image restoration.

Source: Zhu et al. (2023), Denoising Diffusion Models for Plug-and-Play Image Restoration,
https://arxiv.org/abs/2305.08995, algorithm 1.
"""

from dataclasses import dataclass, field

from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.operators import LinearOperator
from lightning_inv.schedules import Spacing
from lightning_inv.settings import need_nonnegative
from lightning_inv.solvers.base import GAUSSIAN, Problem, need_shares
from lightning_inv.solvers.sampler import Sampler


@dataclass(frozen=True)
class DiffPIR(Sampler):
    """Moves each estimate towards y by a proximal map, and noises it again:

        x' = argmin |y - A x|^2 + rho_t |x - x_hat|^2,    rho_t = weight (sigma_y alpha_t / sigma_t)^2,
        x_s = alpha_s x' + sigma_s (sqrt(1 - zeta) eps' + sqrt(zeta) n),

    where eps' is the noise in x_t if the image is x'. Both deviations are in units of x. The official code
    has sigma_y for images in [0, 1] and sigma_t for images in [-1, 1], so that its weight is four times ours:
    its 7 is 1.75 here. It takes sigma_y for 0.001 at least, clips x_hat, starts from a noised y and leaves
    out the last evaluation.

    With zeta below 1, eps' hands the errors of x' on, which are largest where alpha_t is least: few steps,
    with a schedule that begins with almost nothing of the image, as the cosine one, want zeta = 1.

    Args:
        steps: The number of denoising steps.
        weight: The weight lambda of the prior.
        zeta: The share of fresh noise, in [0, 1].
        spacing: How the times are spaced; dense where there is little noise, as in the paper.
        travel: Which stretches of the way are walked several times; none if None.
    """

    requires = LinearOperator
    noises = GAUSSIAN

    steps: int = 100
    weight: float = 1.0
    zeta: float = 0.3
    spacing: Spacing = field(default="quadratic", kw_only=True)

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_nonnegative(self, "weight")
        need_shares(self, "zeta")

    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        (alpha_t, sigma_t), (alpha_s, sigma_s) = problem.prior.schedule(t), problem.prior.schedule(s)
        rho = self.weight * (problem.sigma_y * alpha_t / sigma_t) ** 2
        x = problem.measurement.operator.prox(problem.denoise(x_t, t).x, problem.y, rho)
        eps = problem.prior.from_x(x, x_t, t).eps
        noise = (1 - self.zeta) ** 0.5 * eps + self.zeta**0.5 * problem.noise()
        return alpha_s * x + sigma_s * noise
