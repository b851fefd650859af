"""Manifold constrained gradients.

Source: Chung et al. (2022), Improving Diffusion Models for Inverse Problems using Manifold Constraints,
https://arxiv.org/abs/2206.00941, algorithm 1.
"""

from dataclasses import dataclass

from torch import Tensor

from lightning_inv.operators import SVDOperator
from lightning_inv.solvers.base import GAUSSIAN, Problem
from lightning_inv.solvers.dps import StepDown
from lightning_inv.solvers.repaint import replaced


@dataclass(frozen=True)
class MCG(StepDown):
    """A step of DPS, then what y says of x_s is put in its place:

        x_s <- (I - A^+ A) x_s + A^+ y_s,    y_s = alpha_s y + noise.

    The code of DPS projects to another set for inpainting and blurs; ours is the formula.

    Args:
        steps: The number of denoising steps, each one forward and one backward evaluation.
        zeta: The size of the step down, see ``DPS``.
        reference: The number of measured entries that zeta was chosen for, or None, see ``DPS``.
        eta: The share of fresh noise: 0 for DDIM, 1 for DDPM.
        spacing: How the times are spaced.
        travel: Which stretches of the way are walked several times; none if None.
    """

    requires = SVDOperator
    noises = GAUSSIAN

    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return replaced(problem, self.descended(problem, x_t, t, s), s)
