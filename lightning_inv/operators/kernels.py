"""Kernels of blurs: of one dimension, and point spread functions of two."""

import abc
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_inv.noise import NoiseStream
from lightning_inv.settings import need_positive


def need_odd(owner: object, name: str, size: int) -> None:
    """Raises ValueError unless a number of taps is odd and positive."""
    if size < 1 or size % 2 == 0:
        raise ValueError(f"{type(owner).__name__}.{name} must be odd and positive, got {size}.")


@dataclass(frozen=True)
class Kernel(abc.ABC):
    """A one-dimensional kernel of odd width and sum 1.

    Args:
        width: The number of taps, odd.
    """

    width: int

    def taps(self) -> Tensor:
        """The weights, shape ``(width,)``, in double precision.

        Raises:
            ValueError: The width is not odd and positive.
        """
        need_odd(self, "width", self.width)
        weights = self.weights(torch.arange(self.width, dtype=torch.double) - self.width // 2)
        return weights / weights.sum()

    @abc.abstractmethod
    def weights(self, u: Tensor) -> Tensor:
        """The weights at offsets u in pixels, up to a factor."""


@dataclass(frozen=True)
class GaussianKernel(Kernel):
    """exp(-u^2 / (2 std^2)).

    Args:
        width: The number of taps, odd.
        std: The standard deviation in pixels.
    """

    width: int = 9
    std: float = 2.0

    def weights(self, u: Tensor) -> Tensor:
        need_positive(self, "std")
        return torch.exp(-0.5 * (u / self.std) ** 2)


@dataclass(frozen=True)
class UniformKernel(Kernel):
    """The same weight everywhere.

    Args:
        width: The number of taps, odd.
    """

    width: int = 9

    def weights(self, u: Tensor) -> Tensor:
        return torch.ones_like(u)


@dataclass(frozen=True)
class PointSpread(abc.ABC):
    """What an imaging system makes of a point: a two-dimensional kernel of odd size and sum 1.

    Args:
        size: The number of taps in each direction, odd.
    """

    random: ClassVar[bool] = False
    """Whether each image has another one."""

    size: int

    def check(self) -> None:
        """Raises ValueError if a setting is out of its range."""
        need_odd(self, "size", self.size)

    @abc.abstractmethod
    def draw(self, rng: NoiseStream) -> Tensor:
        """The kernels, shape ``(B, 1, size, size)``, or ``(1, 1, size, size)`` if all are the same."""


@dataclass(frozen=True)
class GaussianSpread(PointSpread):
    """A round Gaussian, as of a lens out of focus.

    Args:
        size: The number of taps in each direction, odd.
        std: The standard deviation in pixels.
    """

    size: int = 61
    std: float = 3.0

    def check(self) -> None:
        super().check()
        need_positive(self, "std")

    def draw(self, rng: NoiseStream) -> Tensor:
        taps = GaussianKernel(self.size, self.std).taps()
        return torch.outer(taps, taps)[None, None].float()


@dataclass(frozen=True)
class MotionSpread(PointSpread):
    """The path of a shaken camera, drawn for each image.

    The path has a direction that drifts as a random walk; it is centred, scaled to fill two thirds of the
    kernel at most, and drawn with bilinear weights.

    Args:
        size: The number of taps in each direction, odd.
        intensity: How much the path bends, from 0, a straight line, to 1.
        points: The number of points on the path.
    """

    random: ClassVar[bool] = True

    size: int = 61
    intensity: float = 0.5
    points: int = 256

    def check(self) -> None:
        super().check()
        if not 0 <= self.intensity <= 1:
            raise ValueError(f"MotionSpread.intensity must be in [0, 1], got {self.intensity}.")
        if self.points < 2:
            raise ValueError(f"MotionSpread.points must be at least 2, got {self.points}.")

    def draw(self, rng: NoiseStream) -> Tensor:
        first = 2 * math.pi * rng.uniform((1,))
        bends = 2 * math.pi * self.intensity / self.points**0.5 * rng.normal((self.points,))
        angle = first + bends.cumsum(1)
        path = torch.stack([angle.sin(), angle.cos()], 2).cumsum(1)
        path = path - path.mean(1, keepdim=True)
        reach = path.abs().amax((1, 2), keepdim=True).clamp(min=1e-6)
        return splat(path / reach * (self.size // 2) * 2 / 3, self.size)


def splat(path: Tensor, size: int) -> Tensor:
    """Draws points with bilinear weights on grids of sum 1, shape ``(B, 1, size, size)``.

    Args:
        path: Points (row, column) from the middle, in pixels, shape ``(B, P, 2)``.
        size: The side of the grid, odd.
    """
    place = (path + size // 2).clamp(0, size - 1)
    corner = place.floor().clamp(max=max(size - 2, 0))
    part = place - corner
    grid = path.new_zeros(len(path), size * size)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (part[..., 0] if down else 1 - part[..., 0]) * (part[..., 1] if right else 1 - part[..., 1])
        index = (corner[..., 0] + down).clamp(max=size - 1) * size + (corner[..., 1] + right).clamp(
            max=size - 1
        )
        grid.scatter_add_(1, index.long(), weight)
    return F.normalize(grid, p=1, dim=1).view(-1, 1, size, size)
