"""Hidden pixels."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lightning_inv.operators.base import Images, Operator, SVDOperator
from lightning_inv.operators.masks import Mask, RandomMask


class Masked(SVDOperator):
    """Sees some coefficients of an orthogonal transform; y is 0 elsewhere, singular values are 0 or 1.

    Args:
        mask: The rule that says which coefficients are seen.
    """

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self.mask = mask

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        self.mask.check(shape, names)

    @property
    def random(self) -> bool:
        return self.mask.random

    def fingerprint(self) -> Any:
        return self.mask.fingerprint()

    def prepare(self, images: Images) -> Operator:
        self.check(images.shape, images.names)
        return self.with_buffers(images, s=self.mask.draw(images))

    def measured_shape(self, shape: tuple[int, int, int]) -> tuple[int, ...]:
        return shape

    def observed(self, y: Tensor) -> Tensor:
        return self.s

    def forward(self, x: Tensor) -> Tensor:
        return self.s * self.Vt(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.V(self.s * y)

    def U(self, z: Tensor) -> Tensor:
        return self.s * z

    def Ut(self, y: Tensor) -> Tensor:
        return self.s * y


class Inpainting(Masked):
    """A(x) = mask x: an image with zeros where pixels are hidden; all singular values are 0 or 1.

    y has the shape of the image, as in the "in2" operator of RED-diff, so that a weight chosen for it holds
    here.

    Args:
        mask: The rule that says which pixels are seen; half of them, at random, if None.
    """

    def __init__(self, mask: Mask | None = None) -> None:
        super().__init__(mask or RandomMask())

    def V(self, z: Tensor) -> Tensor:
        return z

    def Vt(self, x: Tensor) -> Tensor:
        return x
