"""RED-diff.

Source: Mardani et al. (2024), A Variational Perspective on Solving Inverse Problems with Diffusion Models,
https://arxiv.org/abs/2305.04391, algorithm 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.solvers.base import Descent, Problem, Start, need_nonnegative
from lightning_inv.solvers.plans import Grid, TimePlan

Weighting = Literal["linear", "sqrt", "square", "log", "trunc_linear", "power2over3", "const"]
WEIGHTINGS: dict[Weighting, Callable[[Tensor], Tensor]] = {
    "linear": lambda s: s,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "log": torch.log1p,
    "trunc_linear": lambda s: s.clamp(max=1.0),
    "power2over3": lambda s: s ** (2 / 3),
    "const": torch.ones_like,
}
"""How the weight of the prior depends on s = sigma_t / alpha_t, the noise over the image."""


@dataclass(frozen=True)
class REDDiff(Descent):
    """Fits the mean mu of a narrow Gaussian to the posterior.

    With x = mu + sigma_x0 n and x_t = alpha_t x + sigma_t eps, at times that descend, mu goes down

        weight w(sigma_t / alpha_t) <sg[eps_hat(x_t) - eps], x> / pixels
            + obs_weight |y - A(x)|^2 / (2 entries of y)

    where sg stops the gradient: the network is never differentiated. With the paper's linear w the prior's
    gradient is ``weight`` times mu - x_hat(x_t), the residual of the denoiser; any w that grows more slowly
    lets low times weigh more. The mean of the data term runs over all entries of y, hidden ones of inpainting
    included, so that one weight serves several operators. The image returned is mu after the last step; the
    official code returns the one before.

    Args:
        steps: The number of gradient steps, each one network evaluation.
        lr: The learning rate of Adam.
        weight: The weight lambda of the prior.
        weighting: The function w, see ``WEIGHTINGS``.
        obs_weight: The weight of the data term.
        sigma_x0: The standard deviation of the Gaussian around mu.
        start_from: The first image: the pseudo-inverse as published, or see ``Start``.
        plan: The times of the steps; those of the paper descend evenly from the last time to the first.
    """

    steps: int = 100
    lr: float = 0.1
    weight: float = 0.25
    weighting: Weighting = "linear"
    obs_weight: float = 1.0
    sigma_x0: float = 0.0
    start_from: Start = "pinv"
    plan: TimePlan = field(default_factory=Grid)

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_nonnegative(self, "lr", "weight", "obs_weight", "sigma_x0")
        if self.weighting not in WEIGHTINGS:
            known = ", ".join(WEIGHTINGS)
            raise ValueError(f"REDDiff.weighting must be one of {known}, got {self.weighting!r}.")

    def optimizer(self, mu: Tensor) -> torch.optim.Optimizer:
        return torch.optim.Adam([mu], lr=self.lr, betas=(0.9, 0.99))

    def loss(self, problem: Problem, mu: Tensor, t: Tensor, i: int) -> Tensor:
        alpha_t, sigma_t = problem.prior.schedule(t)
        x = mu + self.sigma_x0 * problem.noise() if self.sigma_x0 else mu
        eps = problem.noise()
        with torch.no_grad():  # the gradient is exact without the network's Jacobian (proposition 2)
            eps_hat = problem.denoise(alpha_t * x + sigma_t * eps, t).eps
        w = WEIGHTINGS[self.weighting](sigma_t / alpha_t)
        prior = w * ((eps_hat - eps) * x).flatten(1).mean(1)
        return (self.obs_weight * problem.energy(x) + self.weight * prior).sum()
