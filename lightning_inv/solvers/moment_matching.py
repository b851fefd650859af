"""Moment matching posterior sampling.

Source: Rozet et al. (2024), Learning Diffusion Priors from Observations by Expectation Maximization,
https://arxiv.org/abs/2405.13712, section 4 and algorithm 2.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate
from lightning_inv.linalg import Map, conjugate_directions
from lightning_inv.operators import SVDOperator
from lightning_inv.solvers.base import Problem, Solver, spread_over
from lightning_inv.solvers.guided import Guided
from lightning_inv.solvers.jacobian import linearized


@dataclass(frozen=True)
class MMPS(Guided):
    """Takes p(x | x_t) for N(x_hat, C_t), whose mean and covariance C_t = (sigma_t^2 / alpha_t) J are right.

    J is the network's Jacobian, which is symmetric if the denoiser is exact. With this,

        E[x | x_t, y] = x_hat + C_t A^T (A C_t A^T + sigma_y^2 I)^-1 (y - A x_hat),

    exact for every Gaussian prior. The inverse is found by conjugate gradients, each of whose steps is one
    backward evaluation; those of the paper have no preconditioner. More of them come closer to the formula,
    but where the Jacobian of a trained network is far from that of a denoiser, at high noise, also to its
    errors.

    Args:
        steps: The number of denoising steps.
        iterations: The number of steps of conjugate gradients in each.
        eta: The share of fresh noise: 0 for DDIM, 1 for DDPM.
        spacing: How the times are spaced.
        travel: Which stretches of the way are walked several times; none if None.
    """

    steps: int = 100
    iterations: int = 1

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_iterations(self)

    def estimate(self, problem: Problem, x_t: Tensor, t: Tensor) -> Estimate:
        return problem.prior.from_x(moment_matched(problem, x_t, t, self.iterations).guided, x_t, t)


def need_iterations(solver: Solver) -> None:
    """Raises ValueError unless conjugate gradients make a step."""
    if solver.iterations < 1:
        raise ValueError(f"{type(solver).__name__}.iterations must be at least 1, got {solver.iterations}.")


class Matched(NamedTuple):
    """What is known of x if p(x | x_t) is N(x_hat, C_t)."""

    x: Tensor
    """E[x | x_t], shape ``(B, C, H, W)``."""
    guided: Tensor
    """E[x | x_t, y], shape ``(B, C, H, W)``."""
    fit: Tensor
    """-r^T (A C_t A^T + sigma_y^2 I)^-1 r / 2 with r = y - A x_hat, shape ``(B,)``: log p(y | x_t), less the
    logarithm of the determinant, which would cost more."""


def moment_matched(problem: Problem, x_t: Tensor, t: Tensor, iterations: int) -> Matched:
    """The moments at x_t, with one forward and ``iterations`` backward evaluations."""
    (alpha_t, sigma_t), A = problem.prior.schedule(t), problem.measurement.operator
    (x, _), pull = linearized(problem, x_t, t)
    residual = problem.measurement.residual(x, problem.y)
    variance = spread_over(problem.sigma_y**2, residual)
    covered = []  # C_t A^T p of each direction p, from which E[x | x_t, y] follows at no further cost

    def spread(p: Tensor) -> Tensor:
        covered.append(sigma_t**2 / alpha_t * pull(A.adjoint(p), last=len(covered) + 1 == iterations))
        return A(covered[-1]) + variance * p

    guided, fit = x, torch.zeros_like(x[:, 0, 0, 0])
    for step, p in conjugate_directions(spread, residual, iterations, isotropic_inverse(problem, t)):
        step = step.flatten()
        guided = guided + step.view(-1, 1, 1, 1) * covered[-1]
        fit = fit - step * (residual * p).flatten(1).sum(1) / 2
    return Matched(x, guided, fit)


def isotropic_inverse(problem: Problem, t: Tensor) -> Map | None:
    """(sigma_t^2 A A^T + sigma_y^2 I)^-1, the inverse of PiGDM, where singular values are known."""
    A, sigma_t = problem.measurement.operator, problem.prior.schedule(t)[1]
    if not isinstance(A, SVDOperator):
        return None
    total = (sigma_t * A.s) ** 2 + problem.sigma_y**2
    gain = torch.where(A.seen | (problem.sigma_y > 0), total.reciprocal(), 0.0)
    return lambda v: A.U(gain * A.Ut(v))
