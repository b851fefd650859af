"""Decoupled annealing posterior sampling.

Source: Zhang et al. (2024), Improving Diffusion Inverse Problem Solving with Decoupled Noise Annealing,
https://arxiv.org/abs/2407.01521, algorithm 1.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.operators import LinearOperator
from lightning_inv.settings import need_nonnegative, need_positive
from lightning_inv.solvers.base import GAUSSIAN, Problem, Solver, spread_over
from lightning_inv.solvers.sampler import ddim_step


@dataclass(frozen=True)
class DAPS(Solver):
    """At each noise level r: denoise x_t by an ODE, draw x near it given y, noise x to the next level.

    x is drawn from N(x_hat, r^2 I) times N(y; A x, tau^2 I), by Langevin steps
    x + lr ((x_hat - x) / r^2 + A^T (y - A x) / tau^2) + sqrt(2 lr) n, or exactly if A is linear. tau^2 is the
    variance of the likelihood; the official code has the gradient of |y - A x|^2 / tau^2, without the half,
    which is a variance of tau^2 / 2: its tau of 0.01 is 0.00707 here. Langevin steps diverge if
    lr s^2 > 2 tau^2 for a singular value s of A.

    Args:
        steps: The number of noise levels.
        ode_steps: Network evaluations of the ODE at each, those that fall on different times.
        inner: How x is drawn.
        langevin_steps: The Langevin steps at each level.
        lr: Their size at the first level.
        lr_end: It falls linearly to this share of ``lr``.
        tau: The standard deviation of the likelihood; that of the noise of y if None.
        high: The first noise level, sigma_t / alpha_t.
        low: The last one.
    """

    noises = GAUSSIAN

    steps: int = 200
    ode_steps: int = 5
    inner: Literal["langevin", "exact"] = "langevin"
    langevin_steps: int = 100
    lr: float = 1e-4
    lr_end: float = 0.01
    tau: float | None = None
    high: float = 100.0
    low: float = 0.1

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_nonnegative(self, "lr", "lr_end")
        if min(self.ode_steps, self.langevin_steps) < 1:
            raise ValueError(
                "DAPS.ode_steps and langevin_steps must be at least 1, "
                f"got {self.ode_steps} and {self.langevin_steps}."
            )
        if not 0 < self.low <= self.high < math.inf:
            raise ValueError(f"DAPS needs finite 0 < low <= high, got {self.low} and {self.high}.")
        if self.tau is not None:
            need_positive(self, "tau")
        if self.inner == "exact" and not isinstance(measurement.operator, LinearOperator):
            raise TypeError(
                "DAPS.inner 'exact' needs a linear operator, "
                f"got {type(measurement.operator).__name__}; 'langevin' can do without."
            )
        sigma = measurement.sigma
        if self.inner == "langevin" and self.tau is None and sigma is not None and not positive(sigma):
            raise ValueError("DAPS.tau must be given for Langevin steps on measurements without noise.")

    @torch.no_grad()
    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        schedule = problem.prior.schedule
        levels = [*schedule.levels(self.steps, self.high, self.low).tolist(), 0]
        x_t = schedule(torch.tensor(levels[0]))[1] * problem.noise()
        for i, (t, s) in enumerate(pairwise(levels)):
            (alpha_t, sigma_t), (alpha_s, sigma_s) = (schedule(torch.tensor(time)) for time in (t, s))
            x = self.denoised(problem, x_t, t)
            x = self.drawn(problem, x, sigma_t / alpha_t, i / self.steps)
            x_t = alpha_s * x + sigma_s * problem.noise()
            yield x

    def denoised(self, problem: Problem, x_t: Tensor, t: int) -> Tensor:
        """Where the deterministic ODE leads from x_t, shape ``(B, C, H, W)``."""
        schedule = problem.prior.schedule
        level = float(schedule.sigma[t] / schedule.alpha[t])
        times = schedule.levels(self.ode_steps, level).unique_consecutive()
        for u, v in pairwise([*times, times[0] * 0]):
            x_t = ddim_step(schedule, problem.denoise(x_t, u), u, v, None, eta=0.0)
        return x_t

    def drawn(self, problem: Problem, x_hat: Tensor, r: Tensor, progress: float) -> Tensor:
        """Draws x near x_hat given y, shape ``(B, C, H, W)``."""
        A, y = problem.measurement.operator, problem.y
        tau = problem.sigma_y if self.tau is None else torch.as_tensor(self.tau).to(y)
        if self.inner == "exact":  # the minimiser of a quadratic whose centres are drawn is a draw
            z, y = x_hat + r * problem.noise(), y + spread_over(tau, y) * problem.rng.normal(y.shape[1:])
            return A.prox(z, y * A.observed(y), (tau / r) ** 2)
        x, lr = x_hat, self.lr * (1 - (1 - self.lr_end) * progress)
        for _ in range(self.langevin_steps):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                (up,) = torch.autograd.grad(problem.measurement(x, y).sum(), x)
            x = x.detach() + lr * ((x_hat - x) / r**2 - up / tau**2) + (2 * lr) ** 0.5 * problem.noise()
        return x.detach()


def positive(sigma: float | Tensor) -> bool:
    """Whether all of these numbers are."""
    return bool((torch.as_tensor(sigma) > 0).all())
