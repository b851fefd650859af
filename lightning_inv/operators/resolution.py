"""Low resolution."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_inv.linalg import orthonormal_basis
from lightning_inv.operators.base import Images, SVDOperator


class BlockAverage(SVDOperator):
    """Averages blocks of ``factor`` x ``factor`` pixels; all singular values are 0 or 1 / factor.

    A block of p = factor^2 pixels is rotated so that its first coefficient is its sum / sqrt(p), the only
    one seen.

    Args:
        factor: The side of a block in pixels; it divides height and width.
    """

    def __init__(self, factor: int = 4) -> None:
        super().__init__()
        if factor < 1:
            raise ValueError(f"BlockAverage.factor must be at least 1, got {factor}.")
        self.factor, self.p = factor, factor**2
        self.register_buffer("rotation", orthonormal_basis(torch.ones(self.p)), persistent=False)

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        if shape[1] % self.factor or shape[2] % self.factor:
            raise ValueError(
                f"BlockAverage.factor={self.factor} does not divide images of {shape[1]} x {shape[2]}."
            )

    def prepare(self, images: Images) -> "BlockAverage":
        self.check(images.shape)
        ready = BlockAverage(self.factor)
        low = (1, 1, images.shape[1] // self.factor, images.shape[2] // self.factor)
        ready.register_buffer("s", ready.Ut(torch.full(low, 1 / self.factor)), persistent=False)
        return ready.to(images.rng.device)

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
