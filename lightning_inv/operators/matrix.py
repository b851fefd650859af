"""Any linear map that is small enough to be written down."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_inv.arrays import read_array
from lightning_inv.files import file_digest
from lightning_inv.operators.base import Images, Operator, SVDOperator
from lightning_inv.settings import need_nonnegative


class DenseMatrix(SVDOperator):
    """A(x) = M x for the pixels of x, channel by channel and row by row; y has shape ``(B, m)``.

    M and its singular vectors take (m^2 + n^2) numbers for n pixels: 0.6 GB at n = 12288.

    Args:
        matrix: The rows of M, or the path of a .npy file with M, shape ``(m, n)``.
        cutoff: Singular values up to this are taken for 0 where A is inverted; A itself is exact.

    Raises:
        ValueError: There is no such file, or it is not a matrix of finite numbers.
    """

    left: Tensor
    right: Tensor

    def __init__(self, matrix: str | Sequence[Sequence[float]], cutoff: float = 1e-3) -> None:
        super().__init__()
        self.matrix, self.cutoff = matrix, cutoff
        need_nonnegative(self, "cutoff")
        self.rows = (
            read_array(Path(matrix)) if isinstance(matrix, str) else torch.tensor(matrix, dtype=torch.double)
        )
        if self.rows.ndim != 2 or not self.rows.isfinite().all():
            raise ValueError(
                f"{self._name} must be two-dimensional and finite, got shape {tuple(self.rows.shape)}."
            )

    @property
    def _name(self) -> str:
        return f"the matrix {self.matrix}" if isinstance(self.matrix, str) else "DenseMatrix.matrix"

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        n = shape[0] * shape[1] * shape[2]
        if self.rows.shape[1] != n:
            raise ValueError(
                f"{self._name} has {self.rows.shape[1]} columns, but images of shape {tuple(shape)} "
                f"have {n} pixels."
            )

    def fingerprint(self) -> Any:
        return file_digest(Path(self.matrix)) if isinstance(self.matrix, str) else None

    def prepare(self, images: Images) -> Operator:
        self.check(images.shape)
        U, s, Vt = torch.linalg.svd(self.rows)
        spectrum = s.new_zeros(Vt.shape[0])
        spectrum[: len(s)] = s
        return self.with_buffers(
            images, left=U.float(), right=Vt.mT.float(), s=spectrum.float().view(1, *images.shape)
        )

    def V(self, z: Tensor) -> Tensor:
        return (z.flatten(1) @ self.right.mT).view_as(z)

    def Vt(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self.right).view_as(x)

    def U(self, z: Tensor) -> Tensor:
        m = len(self.left)
        return F.pad(z.flatten(1)[:, :m], (0, max(0, m - z[0].numel()))) @ self.left.mT

    def Ut(self, y: Tensor) -> Tensor:
        n = self.s.numel()
        z = (y @ self.left)[:, :n]
        return F.pad(z, (0, n - z.shape[1])).view(-1, *self.s.shape[1:])
