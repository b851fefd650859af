"""Separable blur."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_inv.operators.base import Images, SVDOperator


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
        if self.width < 1 or self.width % 2 == 0:
            raise ValueError(f"{type(self).__name__}.width must be odd and positive, got {self.width}.")
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
        if self.std <= 0:
            raise ValueError(f"GaussianKernel.std must be positive, got {self.std}.")
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


class SeparableBlur(SVDOperator):
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
        if cutoff < 0:
            raise ValueError(f"SeparableBlur.cutoff must be at least 0, got {cutoff}.")
        self.kernel = kernel or GaussianKernel()
        self.horizontal, self.cutoff = horizontal or self.kernel, cutoff

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        self.kernel.taps()
        self.horizontal.taps()

    def prepare(self, images: Images) -> "SeparableBlur":
        ready = SeparableBlur(self.kernel, self.horizontal, self.cutoff)
        Uv, sv, Vv = torch.linalg.svd(convolution_matrix(self.kernel.taps(), images.shape[1]))
        Uh, sh, Vh = torch.linalg.svd(convolution_matrix(self.horizontal.taps(), images.shape[2]))
        parts = {"Uv": Uv, "Vv": Vv.mT, "Uh": Uh, "Vh": Vh.mT, "s": (sv[:, None] * sh)[None, None]}
        for name, value in parts.items():
            ready.register_buffer(name, value.float(), persistent=False)
        return ready.to(images.rng.device)

    def V(self, z: Tensor) -> Tensor:
        return self.Vv @ z @ self.Vh.mT

    def Vt(self, x: Tensor) -> Tensor:
        return self.Vv.mT @ x @ self.Vh

    def U(self, z: Tensor) -> Tensor:
        return self.Uv @ z @ self.Uh.mT

    def Ut(self, y: Tensor) -> Tensor:
        return self.Uv.mT @ y @ self.Uh


def convolution_matrix(taps: Tensor, size: int) -> Tensor:
    """The matrix, shape ``(size, size)``, that correlates a row of pixels with ``taps``, zero outside."""
    offset = torch.arange(size) - torch.arange(size)[:, None] + len(taps) // 2
    inside = (offset >= 0) & (offset < len(taps))
    return torch.where(inside, taps[offset.clamp(0, len(taps) - 1)], 0.0)
