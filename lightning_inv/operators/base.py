"""What an operator can do is its type, and decides which solvers accept it."""

import abc
import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_inv.linalg import conjugate_gradient
from lightning_inv.noise import NoiseStream
from lightning_inv.recipes import Recorded


@dataclass(frozen=True)
class Images:
    """The images that an operator is made ready for.

    Args:
        shape: The shape ``(C, H, W)`` of each.
        names: The name of each.
        rng: The random numbers of each, for operators that differ from image to image.
    """

    shape: tuple[int, int, int]
    names: Sequence[str]
    rng: NoiseStream

    @classmethod
    def unnamed(cls, shape: Sequence[int], count: int = 1, seed: int = 0) -> "Images":
        """Images to try an operator on: 0, 1, ... of that shape, on the CPU."""
        C, H, W = shape
        return cls((C, H, W), [str(i) for i in range(count)], NoiseStream.of(seed, range(count), "operator"))


class Operator(Recorded, nn.Module, abc.ABC):
    """A map x -> A(x), differentiable, deterministic and without noise. Tensors it needs are buffers."""

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        """Finds early what would make ``prepare`` fail.

        Args:
            shape: The shape ``(C, H, W)`` of the images.
            names: The names of all images to come.

        Raises:
            ValueError: The operator cannot measure such images.
        """

    def prepare(self, images: Images) -> "Operator":
        """The operator for these images: of their shape, and with what differs from image to image drawn."""
        return self.with_buffers(images)

    def with_buffers(self, images: Images, **buffers: Tensor) -> "Operator":
        """A copy that has these buffers besides its own, where the images are."""
        ready = copy.deepcopy(self)
        for name, value in buffers.items():
            ready.register_buffer(name, value, persistent=False)
        return ready.to(images.rng.device)

    def measured_shape(self, shape: tuple[int, int, int]) -> tuple[int, ...]:
        """The shape of y for one image of ``shape``."""
        images = Images.unnamed(shape)
        return tuple(self.prepare(images)(torch.zeros(1, *shape)).shape[1:])

    def image_size(self, measured: Sequence[int]) -> tuple[int, int] | None:
        """Height and width of the images whose measurement has this shape; None if it does not tell.

        They are those of the measurement, unless a subclass knows better.
        """
        return (measured[1], measured[2]) if len(measured) == 3 else None

    @property
    def random(self) -> bool:
        """Whether ``prepare`` draws what differs from image to image, rather than reads it."""
        return False

    @property
    def invertible(self) -> bool:
        """Whether there is a pseudo-inverse, or a guess in its place."""
        return type(self).pinv is not Operator.pinv

    def fingerprint(self) -> Any:
        """Plain data that change when a file that the operator reads does."""
        return None

    def observed(self, y: Tensor) -> Tensor:
        """1 where y holds a measurement and 0 where nothing was seen, broadcastable to y."""
        return y.new_ones(())

    @abc.abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """A(x), from ``(B, C, H, W)`` to ``(B, ...)``."""

    def pinv(self, y: Tensor) -> Tensor:
        """An image that explains y, from ``(B, ...)`` to ``(B, C, H, W)``; exact for linear operators.

        Raises:
            TypeError: The operator has none.
        """
        raise TypeError(f"{type(self).__name__} has no pseudo-inverse.")


class LinearOperator(Operator):
    """A linear map with an adjoint. The inverses below are found by conjugate gradients."""

    @abc.abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """A^T y, from ``(B, ...)`` to ``(B, C, H, W)``."""

    def pinv(self, y: Tensor) -> Tensor:
        """The x of least norm among those that minimise |y - A x|.

        It is found in 50 steps of conjugate gradients, so directions with the smallest singular values may
        be left at 0: of a badly conditioned operator this is a regularised inverse.
        """
        return conjugate_gradient(lambda x: self.adjoint(self(x)), self.adjoint(y))

    def prox(self, z: Tensor, y: Tensor, rho: float | Tensor) -> Tensor:
        """The x that minimises |y - A x|^2 + rho |x - z|^2, for rho >= 0, a number or one an image.

        For rho = 0 it is z + A^+ (y - A z): of those that minimise |y - A x|, the nearest to z.
        """
        residual = y - self(z)
        return z + conjugate_gradient(lambda d: self.adjoint(self(d)) + rho * d, self.adjoint(residual))


class SVDOperator(LinearOperator):
    """A linear map A = U diag(s) V^T whose factors are cheap to apply.

    Spectra are as large as images: where A sees nothing, ``s`` is 0, ``Ut`` writes 0 and ``U`` reads
    nothing. So no solver needs indices, sorting or padding.

    Attributes:
        s: The singular values (a buffer), broadcastable to ``(B, C, H, W)``; set by ``prepare``.
        cutoff: Singular values up to this are taken for 0 where A is inverted.
    """

    s: Tensor
    cutoff: float = 0.0

    @property
    def seen(self) -> Tensor:
        """Whether y says anything of a singular direction, in the shape of ``s``."""
        return self.s > self.cutoff

    @abc.abstractmethod
    def V(self, z: Tensor) -> Tensor:
        """From spectra to images, ``(B, C, H, W)`` to ``(B, C, H, W)``."""

    @abc.abstractmethod
    def Vt(self, x: Tensor) -> Tensor:
        """From images to spectra, the inverse of ``V``."""

    @abc.abstractmethod
    def U(self, z: Tensor) -> Tensor:
        """From spectra, ``(B, C, H, W)``, to measurements."""

    @abc.abstractmethod
    def Ut(self, y: Tensor) -> Tensor:
        """From measurements to spectra, the adjoint of ``U``."""

    def forward(self, x: Tensor) -> Tensor:
        return self.U(self.s * self.Vt(x))

    def adjoint(self, y: Tensor) -> Tensor:
        return self.V(self.s * self.Ut(y))

    def solve(self, y: Tensor) -> Tensor:
        """S^+ U^T y: what y says of each singular direction, 0 where it says nothing, ``(B, C, H, W)``."""
        return torch.where(self.seen, self.Ut(y) / torch.where(self.seen, self.s, 1.0), 0.0)

    def pinv(self, y: Tensor) -> Tensor:
        return self.V(self.solve(y))

    def prox(self, z: Tensor, y: Tensor, rho: float | Tensor) -> Tensor:
        rho = torch.as_tensor(rho, dtype=z.dtype, device=z.device)
        gain = torch.where(self.seen | (rho > 0), self.s / (self.s**2 + rho), 0.0)
        return z + self.V(gain * (self.Ut(y) - self.s * self.Vt(z)))


def need_channels(operator: Operator, shape: tuple[int, int, int], channels: int) -> None:
    """Raises ValueError unless images of ``shape`` have so many channels."""
    if shape[0] != channels:
        raise ValueError(
            f"{type(operator).__name__} needs images of {channels} channels, got shape {tuple(shape)}."
        )
