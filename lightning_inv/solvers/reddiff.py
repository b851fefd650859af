"""RED-diff.

Source: Mardani et al. (2024), A Variational Perspective on Solving Inverse Problems with Diffusion Models,
https://arxiv.org/abs/2305.04391, algorithm 1.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.settings import need_nonnegative
from lightning_inv.solvers.base import Problem
from lightning_inv.solvers.descent import Descent, MakeOptimizer, Start
from lightning_inv.solvers.plans import Grid, TimePlan
from lightning_inv.solvers.weightings import Weighting, check_weighting, weight_of


@dataclass(frozen=True)
class REDDiff(Descent):
    """Fits a Gaussian N(mu, sigma_x0^2) to the posterior.

    With x = mu + sigma_x0 n and x_t = alpha_t x + sigma_t eps, at times that descend, mu goes down

        weight w(s) <sg[eps_hat(x_t) - eps], x> / pixels + obs_weight |y - A(x)|^2 / (2 entries of y)

    with s = sigma_t / alpha_t; sg stops the gradient: the network is never differentiated. With the paper's
    linear w the prior's gradient is ``weight`` times mu - x_hat(x_t), the residual of the denoiser; any w
    that grows more slowly lets low times weigh more. The mean of the data term runs over all entries of y,
    hidden ones of inpainting included, so that one weight serves several operators. The image returned is mu
    after the last step; the official code returns the one before.

    With ``fit_sigma`` each image has a sigma_x0 of its own, which goes down the same divergence, to which the
    entropy adds -weight w(s) s log(alpha_t^2 sigma_x0^2 + sigma_t^2) / 2. (The code of RED-diff fits one
    number for a whole batch, by another formula.)

    Args:
        steps: The number of gradient steps.
        lr: The learning rate, whatever the optimizer.
        weight: The weight lambda of the prior.
        weighting: The function w, by name, see ``WEIGHTINGS``, or any function.
        obs_weight: The weight of the data term.
        sigma_x0: The standard deviation of the Gaussian around mu; where it begins, if it is fitted.
        fit_sigma: Whether it is fitted.
        draws: Times visited in each step, each one network evaluation; their losses are averaged.
        start_from: The first image: the pseudo-inverse as published, or see ``Start``.
        plan: The times; those of the paper descend evenly from the last time to the first.
        optimizer: Any optimizer of PyTorch that needs no closure; Adam with betas 0.9 and 0.99 if None.
        lr_end: The learning rate falls linearly to this share of ``lr``.
    """

    usual_optimizer: ClassVar[MakeOptimizer] = partial(torch.optim.Adam, betas=(0.9, 0.99))

    steps: int = 100
    lr: float = 0.1
    weight: float = 0.25
    weighting: Weighting = "linear"
    obs_weight: float = 1.0
    sigma_x0: float = 0.0
    fit_sigma: bool = False
    draws: int = 1
    start_from: Start = "pinv"
    plan: TimePlan = field(default_factory=Grid)

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        if self.draws < 1:
            raise ValueError(f"REDDiff.draws must be at least 1, got {self.draws}.")
        super().check(prior, measurement)
        need_nonnegative(self, "weight", "obs_weight", "sigma_x0")
        if self.fit_sigma and not self.sigma_x0:
            raise ValueError("REDDiff.fit_sigma needs a positive sigma_x0 to begin with, got 0.")
        check_weighting(self.weighting, "REDDiff")

    @property
    def visits(self) -> int:
        return self.steps * self.draws

    def start(self, problem: Problem) -> tuple[Tensor, ...]:
        mu = self.first_image(problem)
        log_sigma = mu.new_full((len(mu), 1, 1, 1), self.sigma_x0).log()
        return (mu, log_sigma) if self.fit_sigma else (mu,)

    def image(self, problem: Problem, mu: Tensor, log_sigma: Tensor | None = None) -> Tensor:
        return mu

    def loss(
        self, problem: Problem, t: list[Tensor], i: int, mu: Tensor, log_sigma: Tensor | None = None
    ) -> Tensor:
        sigma_x0 = self.sigma_x0 if log_sigma is None else log_sigma.exp()
        return sum(self._divergence(problem, one, mu, sigma_x0) for one in t) / len(t)

    def _divergence(self, problem: Problem, t: Tensor, mu: Tensor, sigma_x0: float | Tensor) -> Tensor:
        """The loss at one time, a scalar."""
        x = mu + sigma_x0 * problem.noise() if self.sigma_x0 else mu
        loss = distillation(problem, t, x, self.weight, self.weighting)
        if self.fit_sigma:
            alpha_t, sigma_t = problem.prior.schedule(t)
            s, spread = sigma_t / alpha_t, alpha_t**2 * sigma_x0**2 + sigma_t**2
            loss = loss - self.weight / 2 * (weight_of(self.weighting, s) * s * spread.log()).sum()
        return loss + self.obs_weight * problem.energy(x).sum()


def distillation(problem: Problem, t: Tensor, x: Tensor, weight: float, weighting: Weighting) -> Tensor:
    """The prior's loss at one time: weight w(s) <sg[eps_hat(x_t) - eps], x> / pixels, a scalar."""
    alpha_t, sigma_t = problem.prior.schedule(t)
    eps = problem.noise()
    with torch.no_grad():  # the gradient is exact without the network's Jacobian (proposition 2)
        eps_hat = problem.denoise(alpha_t * x + sigma_t * eps, t).eps
        gradient = weight / x[0].numel() * weight_of(weighting, sigma_t / alpha_t) * (eps_hat - eps)
    return torch.dot(gradient.flatten(), x.flatten())
