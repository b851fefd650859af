"""Denoising diffusion restoration models.

Source: Kawar et al. (2022), https://arxiv.org/abs/2201.11793, section 3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate
from lightning_inv.operators import SVDOperator
from lightning_inv.solvers.base import GAUSSIAN, Problem, need_shares
from lightning_inv.solvers.sampler import Sampler


@dataclass(frozen=True)
class DDRM(Sampler):
    """Samples each singular direction by how much y says of it.

    A direction whose y is exactly as noisy as x_s is trusted, as in the paper; the official code treats it as
    unseen. eta is not that of DDIM: the samples do not tend to the posterior as steps grow, and 20 steps with
    eta = 0.85 are what the paper recommends.

    Args:
        steps: The number of denoising steps.
        eta: The share of fresh noise where y says less than x_t, in [0, 1].
        eta_b: The trust in y where it says more, in [0, 1].
        spacing: How the times are spaced; evenly in the paper.
        travel: Which stretches of the way are walked several times; none if None.
    """

    requires = SVDOperator
    noises = GAUSSIAN

    steps: int = 20
    eta: float = 0.85
    eta_b: float = 1.0

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_shares(self, "eta", "eta_b")

    def start(self, problem: Problem, t: Tensor) -> Tensor:
        A, seen, y, level = problem.spectrum
        alpha_t, sigma_t = problem.prior.schedule(t)
        noise_t = sigma_t / alpha_t
        known = seen & (level < noise_t)
        mean = torch.where(known, y, 0.0)
        var = torch.where(known, noise_t**2 - level**2, noise_t**2)
        return alpha_t * A.V(mean + var.sqrt() * problem.noise())

    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return ddrm_step(problem, problem.denoise(x_t, t), s, self.eta, self.eta_b)


def ddrm_step(problem: Problem, estimate: Estimate, s: Tensor, eta: float, eta_b: float) -> Tensor:
    """Draws x_s, each singular direction by how much y says of it (equations 7 and 8).

    Noise levels are relative to the signal, sigma_s / alpha_s, as in the paper.

    Args:
        problem: The problem.
        estimate: The estimate at t.
        s: The time after the step.
        eta: The share of fresh noise where y says less than x_s, in [0, 1].
        eta_b: The trust in y where it says more, in [0, 1].
    """
    A, seen, y, level = problem.spectrum
    alpha_s, sigma_s = problem.prior.schedule(s)
    noise_s = sigma_s / alpha_s
    x, eps = A.Vt(estimate.x), A.Vt(estimate.eps)

    kept, trusted = (1 - eta**2) ** 0.5 * noise_s, seen & (level <= noise_s)
    pull = torch.where(seen, torch.where(trusted, eta_b, kept / level), 0.0)  # towards y, in [0, 1]
    mean = torch.lerp(x, y, pull) + torch.where(seen, 0.0, kept) * eps
    var = torch.where(trusted, noise_s**2 - (eta_b * level) ** 2, (eta * noise_s) ** 2)
    return alpha_s * A.V(mean + var.clamp(min=0).sqrt() * problem.noise())
