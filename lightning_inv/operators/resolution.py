"""Low resolution."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_inv.linalg import orthonormal_basis
from lightning_inv.operators.base import Images, Operator, SVDOperator
from lightning_inv.operators.differentiated import Differentiated
from lightning_inv.operators.separable import Separable


def need_factor(operator: Operator, factor: int) -> None:
    """Raises ValueError unless a factor is at least 1."""
    if factor < 1:
        raise ValueError(f"{type(operator).__name__}.factor must be at least 1, got {factor}.")


def need_divisor(operator: Operator, factor: int, shape: tuple[int, int, int]) -> None:
    """Raises ValueError unless the factor divides height and width."""
    if shape[1] % factor or shape[2] % factor:
        raise ValueError(
            f"{type(operator).__name__}.factor={factor} does not divide images of {shape[1]} x {shape[2]}."
        )


class LowResolution(Operator):
    """What operators of low resolution share.

    Attributes:
        factor: Pixels of a side that become one; it divides height and width.
    """

    factor: int

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        need_divisor(self, self.factor, shape)

    def image_size(self, measured: Sequence[int]) -> tuple[int, int] | None:
        size = super().image_size(measured)
        return size and (self.factor * size[0], self.factor * size[1])


class BlockAverage(LowResolution, SVDOperator):
    """Averages blocks of ``factor`` x ``factor`` pixels; all singular values are 0 or 1 / factor.

    A block of p = factor^2 pixels is rotated so that its first coefficient is its sum / sqrt(p), the only
    one seen.

    Args:
        factor: The side of a block in pixels; it divides height and width.
    """

    def __init__(self, factor: int = 4) -> None:
        super().__init__()
        need_factor(self, factor)
        self.factor, self.p = factor, factor**2
        self.register_buffer("rotation", orthonormal_basis(torch.ones(self.p)), persistent=False)

    def prepare(self, images: Images) -> Operator:
        self.check(images.shape)
        low = (1, 1, images.shape[1] // self.factor, images.shape[2] // self.factor)
        return self.with_buffers(images, s=self.Ut(torch.full(low, 1 / self.factor)))

    def _rotate(self, x: Tensor, rotation: Tensor) -> Tensor:
        blocks = F.pixel_unshuffle(x, self.factor).unflatten(1, (-1, self.p))
        return F.pixel_shuffle(torch.einsum("ij,bcjhw->bcihw", rotation, blocks).flatten(1, 2), self.factor)

    def V(self, z: Tensor) -> Tensor:
        return self._rotate(z, self.rotation)

    def Vt(self, x: Tensor) -> Tensor:
        return self._rotate(x, self.rotation.mT)

    def U(self, z: Tensor) -> Tensor:
        return z[..., :: self.factor, :: self.factor]

    def Ut(self, y: Tensor) -> Tensor:
        z = y.new_zeros(*y.shape[:-2], y.shape[-2] * self.factor, y.shape[-1] * self.factor)
        z[..., :: self.factor, :: self.factor] = y
        return z


class BicubicDownsampling(LowResolution, Separable):
    """Low resolution by the cubic kernel of Keys, a = -1/2, stretched by the factor; borders are mirrored.

    This is the "sr_bicubic" of DDRM, whose kernel has 4 factor taps. Singular values of a 64-pixel side and
    factor 4 lie in [0.352, 0.500].

    Source: Keys (1981), Cubic convolution interpolation for digital image processing.

    Args:
        factor: Pixels of a side that become one; it divides height and width.
    """

    def __init__(self, factor: int = 4) -> None:
        super().__init__()
        need_factor(self, factor)
        self.factor = factor

    def matrices(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        return bicubic_matrix(height, self.factor), bicubic_matrix(width, self.factor)

    def prepare(self, images: Images) -> Operator:
        self.check(images.shape)
        return super().prepare(images)


def bicubic_matrix(size: int, factor: int) -> Tensor:
    """The matrix, shape ``(size / factor, size)``, that scales a row down, in double precision."""
    centre = torch.arange(size // factor)[:, None] * factor + (factor - 1) / 2
    place = centre.floor().long() - 2 * factor + torch.arange(4 * factor + 2)
    weight = keys_kernel((place - centre).double() / factor)
    K = torch.zeros(size // factor, size, dtype=torch.double)
    return K.scatter_add_(1, mirrored(place, size), weight / weight.sum(1, keepdim=True))


def keys_kernel(u: Tensor, a: float = -0.5) -> Tensor:
    """The cubic convolution kernel at offsets u in pixels."""
    u = u.abs()
    near = (a + 2) * u**3 - (a + 3) * u**2 + 1
    far = a * u**3 - 5 * a * u**2 + 8 * a * u - 4 * a
    return torch.where(u <= 1, near, torch.where(u < 2, far, 0.0))


def mirrored(place: Tensor, size: int) -> Tensor:
    """Indices of pixels, those outside mirrored at the border with the border pixel repeated."""
    place = place % (2 * size)
    return torch.minimum(place, 2 * size - 1 - place)


class AntialiasedResize(LowResolution, Differentiated):
    """Low resolution as image libraries make it: PyTorch's interpolation with antialiasing.

    Args:
        factor: Pixels of a side that become one; it divides height and width.
        mode: The kernel of the interpolation.
    """

    def __init__(self, factor: int = 4, mode: Literal["bicubic", "bilinear"] = "bicubic") -> None:
        super().__init__()
        need_factor(self, factor)
        self.factor, self.mode = factor, mode

    def forward(self, x: Tensor) -> Tensor:
        low = (x.shape[-2] // self.factor, x.shape[-1] // self.factor)
        return F.interpolate(x, low, mode=self.mode, antialias=True)
