"""Blurs: separable with zeros outside, circular, and with reflection at the border."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_inv.operators.base import Images, Operator, SVDOperator
from lightning_inv.operators.differentiated import Differentiated
from lightning_inv.operators.fourier import filtered, hartley
from lightning_inv.operators.kernels import GaussianKernel, GaussianSpread, Kernel, PointSpread
from lightning_inv.operators.separable import Separable
from lightning_inv.settings import need_nonnegative


class SeparableBlur(Separable):
    """Blurs rows and columns with zero padding: A(x) = K_v x K_h^T, with K = U diag(s) V^T each.

    All taps are used and colours are kept apart; the code of DDRM and RED-diff loses the last tap and pairs
    singular values with the wrong channels.

    Args:
        kernel: The kernel of columns, and of rows unless ``horizontal`` is given.
        horizontal: The kernel of rows.
        cutoff: Singular values up to this are taken for 0 where A is inverted; A itself is exact.
    """

    def __init__(
        self, kernel: Kernel | None = None, horizontal: Kernel | None = None, cutoff: float = 1e-3
    ) -> None:
        super().__init__()
        self.kernel = kernel or GaussianKernel()
        self.horizontal, self.cutoff = horizontal or self.kernel, cutoff
        need_nonnegative(self, "cutoff")

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        self.kernel.taps()
        self.horizontal.taps()

    def matrices(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        return convolution_matrix(self.kernel.taps(), height), convolution_matrix(
            self.horizontal.taps(), width
        )


def convolution_matrix(taps: Tensor, size: int) -> Tensor:
    """The matrix, shape ``(size, size)``, that correlates a row of pixels with ``taps``, zero outside."""
    offset = torch.arange(size) - torch.arange(size)[:, None] + len(taps) // 2
    inside = (offset >= 0) & (offset < len(taps))
    return torch.where(inside, taps[offset.clamp(0, len(taps) - 1)], 0.0)


class CircularBlur(SVDOperator):
    """Convolves with a point spread function, the image being continued periodically.

    With F the Fourier transform, A = F^H diag(k) F, k = F(kernel). The Hartley transform T = Re F - Im F is
    real, symmetric and its own inverse, and |k| is even; so A = U diag(|k|) T with V = T and U = F^H diag(k
    / |k|) F T.

    Args:
        spread: The point spread function; a Gaussian of 3 pixels if None.
        cutoff: Singular values up to this are taken for 0 where A is inverted; A itself is exact.
    """

    phase: Tensor

    def __init__(self, spread: PointSpread | None = None, cutoff: float = 1e-3) -> None:
        super().__init__()
        self.spread, self.cutoff = spread or GaussianSpread(), cutoff
        need_nonnegative(self, "cutoff")

    @property
    def random(self) -> bool:
        return self.spread.random

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        self.spread.check()

    def prepare(self, images: Images) -> Operator:
        kernel = wrap(self.spread.draw(images.rng).double(), *images.shape[1:])
        k = torch.fft.fft2(kernel)
        s = k.abs()
        phase = torch.where(s > 1e-12, k / s.clamp(min=1e-12), 1.0)
        return self.with_buffers(images, s=s.float(), phase=phase.to(torch.complex64))

    def V(self, z: Tensor) -> Tensor:
        return hartley(z)

    def Vt(self, x: Tensor) -> Tensor:
        return hartley(x)

    def U(self, z: Tensor) -> Tensor:
        return filtered(hartley(z), self.phase)

    def Ut(self, y: Tensor) -> Tensor:
        return hartley(filtered(y, self.phase.conj()))

    def forward(self, x: Tensor) -> Tensor:
        return filtered(x, self.s * self.phase)

    def adjoint(self, y: Tensor) -> Tensor:
        return filtered(y, self.s * self.phase.conj())


def wrap(kernel: Tensor, height: int, width: int) -> Tensor:
    """The kernel, ``(B, 1, k, k)``, with its middle at (0, 0) of a periodic grid."""
    half = kernel.shape[-1] // 2
    row = (torch.arange(kernel.shape[-1]) - half) % height
    column = (torch.arange(kernel.shape[-1]) - half) % width
    index = (row[:, None] * width + column).flatten().expand(len(kernel), -1).to(kernel.device)
    grid = kernel.new_zeros(len(kernel), height * width)
    return grid.scatter_add_(1, index, kernel.flatten(1)).view(-1, 1, height, width)


class ReflectBlur(Differentiated):
    """Convolves with a point spread function, the image being mirrored at its border.

    Args:
        spread: The point spread function; a Gaussian of 3 pixels if None.
    """

    kernel: Tensor

    def __init__(self, spread: PointSpread | None = None) -> None:
        super().__init__()
        self.spread = spread or GaussianSpread()

    @property
    def random(self) -> bool:
        return self.spread.random

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        self.spread.check()
        if min(shape[1:]) <= self.spread.size // 2:
            raise ValueError(
                f"a kernel of {self.spread.size} pixels cannot be mirrored in {shape[1]} x {shape[2]} pixels."
            )

    def prepare(self, images: Images) -> Operator:
        self.check(images.shape)
        return self.with_buffers(images, kernel=self.spread.draw(images.rng).flip((-2, -1)))

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        half = self.spread.size // 2
        padded = F.pad(x, (half,) * 4, mode="reflect")
        weight = self.kernel.expand(B, C, -1, -1).reshape(B * C, 1, *self.kernel.shape[-2:])
        return F.conv2d(padded.view(1, B * C, *padded.shape[-2:]), weight, groups=B * C).view(B, C, H, W)
