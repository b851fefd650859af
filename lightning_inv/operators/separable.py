"""Operators that act on columns and on rows."""

import abc

import torch
from torch import Tensor

from lightning_inv.operators.base import Images, Operator, SVDOperator


class Separable(SVDOperator):
    """A(x) = K_v x K_h^T for each channel; the singular values are products of those of K_v and K_h."""

    @abc.abstractmethod
    def matrices(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """K_v, shape ``(<=height, height)``, and K_h, shape ``(<=width, width)``, in double precision."""

    def prepare(self, images: Images) -> Operator:
        parts = {}
        for name, K in zip("vh", self.matrices(*images.shape[1:]), strict=True):
            U, s, Vt = torch.linalg.svd(K)
            parts |= {
                f"U{name}": U,
                f"s{name}": torch.cat([s, s.new_zeros(K.shape[1] - len(s))]),
                f"V{name}": Vt.mT,
            }
        s = (parts.pop("sv")[:, None] * parts.pop("sh"))[None, None]
        return self.with_buffers(
            images, s=s.float(), **{name: value.float() for name, value in parts.items()}
        )

    def V(self, z: Tensor) -> Tensor:
        return self.Vv @ z @ self.Vh.mT

    def Vt(self, x: Tensor) -> Tensor:
        return self.Vv.mT @ x @ self.Vh

    def U(self, z: Tensor) -> Tensor:
        return self.Uv @ z[..., : len(self.Uv), : len(self.Uh)] @ self.Uh.mT

    def Ut(self, y: Tensor) -> Tensor:
        spectrum = y.new_zeros(*y.shape[:-2], len(self.Vv), len(self.Vh))
        spectrum[..., : len(self.Uv), : len(self.Uh)] = self.Uv.mT @ y @ self.Uh
        return spectrum
