"""Classical methods as solvers, which ask no prior: infer.py shows them the measurements of all others.

PYTHONPATH=benchmarks python infer.py --model.solvers.tv classical_solvers.TotalVariation --folder results/tv
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from classical_denoisers import bm3d
from torch import Tensor
from total_variation import primal_dual

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.operators import AntialiasedResize, BicubicDownsampling, BlockAverage, LinearOperator
from lightning_inv.solvers import Problem, Solver
from lightning_inv.solvers.base import GAUSSIAN


@dataclass(frozen=True)
class TotalVariation(Solver):
    """The x that minimises |y - A x|^2 / 2 + weight TV(x), see ``total_variation.primal_dual``.

    Args:
        steps: The number of steps.
        weight: The weight of TV.

    Raises:
        ValueError: ``weight`` is not positive.
    """

    requires = LinearOperator

    steps: int = 300
    weight: float = 0.02

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"TotalVariation.weight must be positive, got {self.weight}.")

    @torch.no_grad()
    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        A, y = problem.measurement.operator, problem.y
        x = A.prox(torch.zeros(problem.shape, device=y.device), y, 1.0)
        yield from primal_dual(lambda z, rho: A.prox(z, y, rho), x, self.weight, self.steps)


@dataclass(frozen=True)
class BM3DPlugAndPlay(Solver):
    """Half-quadratic splitting with BM3D in the place of the prior.

    Begins with z by total variation; then sigma falls, even in its logarithm, from ``high`` to that of y, and

        x = argmin |y - A x|^2 + (sigma_y / sigma)^2 |x - z|^2,    z = BM3D of x at sigma.

    Source: Zhang et al. (2017), Learning Deep CNN Denoiser Prior for Image Restoration,
    https://arxiv.org/abs/1704.03264, equation 6, with another denoiser and a start of our own. BM3D
    leaves out what it does for correlated noise, two thirds of its time for 0.04 dB.

    Args:
        steps: The number of steps, each one run of BM3D.
        high: The first sigma, in units of images in [-1, 1].
        start: What makes the first z.
    """

    requires = LinearOperator
    noises = GAUSSIAN

    steps: int = 12
    high: float = 0.2
    start: TotalVariation = field(default_factory=TotalVariation)

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        self.start.check(prior, measurement)
        if not isinstance(measurement.sigma, float) or not 0 < measurement.sigma <= self.high:
            raise ValueError(
                f"BM3DPlugAndPlay needs noise of one sigma in (0, {self.high}], got {measurement.sigma}."
            )

    @torch.no_grad()
    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        A, sigma_y = problem.measurement.operator, problem.measurement.sigma
        z = deque(self.start.iterates(problem), maxlen=1).pop()
        for k in range(self.steps):
            share = k / max(self.steps - 1, 1)
            sigma = self.high ** (1 - share) * sigma_y**share
            x = A.prox(z, problem.y, (sigma_y / sigma) ** 2)
            z = bm3d(x, sigma, white=True)
            yield z


@dataclass(frozen=True)
class Bicubic(Solver):
    """Enlarges y by cubic interpolation: a baseline of super-resolution."""

    steps: int = 1

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        if not isinstance(measurement.operator, BlockAverage | BicubicDownsampling | AntialiasedResize):
            kind = type(measurement.operator).__name__
            raise TypeError(f"Bicubic needs an operator that makes images smaller, got {kind}.")

    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        yield F.interpolate(problem.y, tuple(problem.shape[2:]), mode="bicubic", align_corners=False)
