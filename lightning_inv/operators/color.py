"""Lost colour."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_inv.linalg import orthonormal_basis
from lightning_inv.operators.base import SVDOperator, need_channels


class Grayscale(SVDOperator):
    """The mean of three channels, for colorization; the singular values are 1 / sqrt(3) and 0."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rotation", orthonormal_basis(torch.ones(3)), persistent=False)
        self.register_buffer("s", torch.tensor([3**-0.5, 0, 0]).view(1, 3, 1, 1), persistent=False)

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        need_channels(self, shape, 3)

    def V(self, z: Tensor) -> Tensor:
        return torch.einsum("ij,bjhw->bihw", self.rotation, z)

    def Vt(self, x: Tensor) -> Tensor:
        return torch.einsum("ji,bjhw->bihw", self.rotation, x)

    def U(self, z: Tensor) -> Tensor:
        return z[:, :1]

    def Ut(self, y: Tensor) -> Tensor:
        return torch.cat([y, torch.zeros_like(y), torch.zeros_like(y)], 1)
