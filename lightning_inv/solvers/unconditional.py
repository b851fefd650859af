"""Samples of the prior."""

from dataclasses import dataclass

from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.solvers.base import Problem, need_shares
from lightning_inv.solvers.sampler import Sampler, ddim_step


@dataclass(frozen=True)
class Unconditional(Sampler):
    """Draws images from the prior and looks at no measurement.

    Source: Song et al. (2021), Denoising Diffusion Implicit Models, https://arxiv.org/abs/2010.02502,
        equation 12.

    Args:
        steps: The number of denoising steps.
        eta: 0 for DDIM, deterministic after its start; 1 for DDPM, ancestral.
        spacing: How the times are spaced.
        travel: Which stretches of the way are walked several times; none if None.
    """

    requires = None

    steps: int = 50
    eta: float = 0.0

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_shares(self, "eta")

    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        noise = problem.noise() if self.eta else None
        return ddim_step(problem.prior.schedule, problem.denoise(x_t, t), t, s, noise, self.eta)
