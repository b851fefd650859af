"""Compressed sensing by Walsh-Hadamard coefficients."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_inv.noise import generator
from lightning_inv.operators.base import Images, Operator, SVDOperator
from lightning_inv.operators.resolution import need_factor


class WalshHadamard(SVDOperator):
    """Some of the Walsh-Hadamard coefficients of an image; all singular values are 0 or 1.

    The coefficients are chosen at random once, by ``seed``, alike for all images and channels. y has shape
    ``(B, C, H W / factor)``.

    Args:
        factor: The number of pixels over that of coefficients seen.
        seed: The choice of coefficients.
    """

    kept: Tensor

    def __init__(self, factor: int = 2, seed: int = 0) -> None:
        super().__init__()
        need_factor(self, factor)
        self.factor, self.seed = factor, seed

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        pixels = shape[1] * shape[2]
        if pixels & (pixels - 1):
            raise ValueError(
                f"WalshHadamard needs images whose sides are powers of 2, got {shape[1]} x {shape[2]}."
            )
        if self.factor > pixels:
            raise ValueError(
                f"WalshHadamard.factor={self.factor} is more than the {pixels} pixels of an image."
            )

    def prepare(self, images: Images) -> Operator:
        self.check(images.shape)
        _, H, W = images.shape
        order = torch.randperm(H * W, generator=generator("hadamard", self.seed, H * W))
        kept = order[: H * W // self.factor].sort().values
        s = torch.zeros(H * W).index_fill_(0, kept, 1.0).view(1, 1, H, W)
        return self.with_buffers(images, s=s, kept=kept)

    def V(self, z: Tensor) -> Tensor:
        return walsh_hadamard(z.flatten(2)).view_as(z)

    def Vt(self, x: Tensor) -> Tensor:
        return self.V(x)

    def U(self, z: Tensor) -> Tensor:
        return z.flatten(2)[..., self.kept]

    def Ut(self, y: Tensor) -> Tensor:
        z = y.new_zeros(*y.shape[:2], self.s.numel())
        z[..., self.kept] = y
        return z.view(*y.shape[:2], *self.s.shape[-2:])


def walsh_hadamard(x: Tensor) -> Tensor:
    """The Walsh-Hadamard transform of the last dimension, a power of 2: orthonormal and its own inverse."""
    size = x.shape[-1]
    z = x.reshape(*x.shape[:-1], *(2,) * (size.bit_length() - 1))
    for axis in range(x.ndim - 1, z.ndim):
        a, b = z.unbind(axis)
        z = torch.stack([a + b, a - b], axis)
    return z.reshape_as(x) / size**0.5
