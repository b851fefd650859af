"""RePaint, for all operators whose singular directions are known.

Source: Lugmayr et al. (2022), RePaint: Inpainting using Denoising Diffusion Probabilistic Models,
https://arxiv.org/abs/2201.09865, algorithm 1.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.operators import SVDOperator
from lightning_inv.solvers.base import GAUSSIAN, Problem, need_shares
from lightning_inv.solvers.sampler import Sampler, TimeTravel, ddim_step


@dataclass(frozen=True)
class RePaint(Sampler):
    """Steps of DDPM in which what is seen is replaced by y, noised to the level of x_s, with time travel.

    The paper treats inpainting without noise. Here the same is done to the singular directions that A sees.
    Noise that y has already is not added again, and where y is noisier than x_s, x_s is left as it is.

    Args:
        steps: The number of denoising steps on the straight way.
        eta: The share of fresh noise: 0 for DDIM, 1 for DDPM.
        spacing: How the times are spaced.
        travel: How stretches of the way are repeated: ten steps, ten times, as in the paper.
    """

    requires = SVDOperator
    noises = GAUSSIAN

    steps: int = 250
    eta: float = 1.0
    travel: TimeTravel | None = field(default_factory=TimeTravel, kw_only=True)

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_shares(self, "eta")

    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        noise = problem.noise() if self.eta else None
        x_s = ddim_step(problem.prior.schedule, problem.denoise(x_t, t), t, s, noise, self.eta)
        return replaced(problem, x_s, s)


def replaced(problem: Problem, x_s: Tensor, s: Tensor) -> Tensor:
    """x_s with what y says of it, noised to the level of s, in the directions that are seen.

    Noise that y has counts; where it has more than x_s, x_s is left as it is.
    """
    A, seen, y, level = problem.spectrum
    alpha_s, sigma_s = problem.prior.schedule(s)
    width = (sigma_s**2 - (alpha_s * level) ** 2).clamp(min=0).sqrt()
    clear = seen & (alpha_s * level <= sigma_s)
    return A.V(torch.where(clear, alpha_s * y + width * problem.noise(), A.Vt(x_s)))
