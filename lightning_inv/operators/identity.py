"""The image itself, for denoising."""

import torch
from torch import Tensor

from lightning_inv.operators.base import SVDOperator


class Identity(SVDOperator):
    """A(x) = x."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("s", torch.ones(1, 1, 1, 1), persistent=False)

    def V(self, z: Tensor) -> Tensor:
        return z

    def Vt(self, x: Tensor) -> Tensor:
        return x

    def U(self, z: Tensor) -> Tensor:
        return z

    def Ut(self, y: Tensor) -> Tensor:
        return y
