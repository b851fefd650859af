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

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.operators import AntialiasedResize, BicubicDownsampling, BlockAverage, LinearOperator
from lightning_inv.solvers import Problem, Solver
from lightning_inv.solvers.base import GAUSSIAN


@dataclass(frozen=True)
class TotalVariation(Solver):
    """The x that minimises |y - A x|^2 / 2 + weight TV(x), by a primal-dual method.

    TV sums, over pixels, the root of the squared differences to the pixels below and to the right, of all
    colours together. With p a dual image for each direction, D the differences and tau theta 8 = 1,

        x' = prox(x - tau D^T p),    p = clip(p + theta D (2 x' - x)),

    where prox is that of the operator and clip makes no vector of p longer than the weight.

    Source: Chambolle & Pock (2011), A first-order primal-dual algorithm for convex problems with applications
    to imaging, https://doi.org/10.1007/s10851-010-0251-1, algorithm 1.

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
        tau = 0.05 / self.weight  # x changes by about 0.05 while p, as large as the weight, changes sign
        theta = 1 / (8 * tau)
        x = A.prox(torch.zeros(problem.shape, device=y.device), y, 1.0)
        p = torch.zeros_like(differences(x))
        for _ in range(self.steps):
            before, x = x, A.prox(x - tau * differences_adjoint(p), y, 1 / tau)
            p = p + theta * differences(2 * x - before)
            length = p.square().sum((0, 2), keepdim=True).sqrt()  # of both directions and all colours
            p = p / (length / self.weight).clamp(min=1)
            yield x


def differences(x: Tensor) -> Tensor:
    """Differences to the pixels below and to the right, 0 at the border: shape ``(2, B, C, H, W)``."""
    return torch.stack([F.pad(x.diff(dim=-2), (0, 0, 0, 1)), F.pad(x.diff(dim=-1), (0, 1))])


def differences_adjoint(p: Tensor) -> Tensor:
    """The adjoint of ``differences``, shape ``(B, C, H, W)``."""
    below, right = F.pad(p[0][..., :-1, :], (0, 0, 1, 1)), F.pad(p[1][..., :-1], (1, 1))
    return -below.diff(dim=-2) - right.diff(dim=-1)


@dataclass(frozen=True)
class BM3DPlugAndPlay(Solver):
    """Half-quadratic splitting with BM3D in the place of the prior.

    Begins with z by total variation; then sigma falls, even in its logarithm, from ``high`` to that of y, and

        x = argmin |y - A x|^2 + (sigma_y / sigma)^2 |x - z|^2,    z = BM3D of x at sigma.

    Source: Zhang et al. (2017), Learning Deep CNN Denoiser Prior for Image Restoration,
    https://arxiv.org/abs/1704.03264, equation 6, with another denoiser and a start of our own.

    Args:
        steps: The number of steps, each one run of BM3D.
        high: The first sigma, in units of images in [-1, 1].
        start: What makes the first z.
    """

    requires = LinearOperator
    noises = GAUSSIAN

    steps: int = 6
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
            z = bm3d(x, sigma)
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
