"""Operators of deepinv, https://deepinv.github.io, as operators here; ``pip install lightning_inv[deepinv]``.

Images are handed over as they are, in [-1, 1]. A physics' own noise is left out: ``Measurement`` adds it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lightning_inv.fingerprints import plain_data, weights_digest
from lightning_inv.frozen import device_of
from lightning_inv.operators.base import LinearOperator, Operator


class _Adapted(Operator):
    """What the two kinds share."""

    def __init__(self, physics: nn.Module) -> None:
        super().__init__()
        self.physics = physics.requires_grad_(False)

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        try:
            self(torch.zeros(2, *shape, device=device_of(self.physics)))
        except (RuntimeError, ValueError, AssertionError) as error:
            raise ValueError(
                f"{type(self.physics).__name__} cannot measure images of shape {tuple(shape)}: {error}"
            ) from None

    def fingerprint(self) -> Any:
        return [plain_data(self.physics), weights_digest(self.physics)]

    def forward(self, x: Tensor) -> Tensor:
        return self.physics.A(x)


class DeepinvPhysics(_Adapted):
    """A(x) by ``physics.A``.

    Args:
        physics: A ``deepinv.physics.Physics`` whose parameters are alike for all images.
    """


class DeepinvLinear(_Adapted, LinearOperator):
    """The same with its adjoint by ``physics.A_adjoint``; inverted by conjugate gradients.

    Args:
        physics: A ``deepinv.physics.LinearPhysics`` whose parameters are alike for all images.

    Raises:
        TypeError: The physics has no adjoint.
    """

    def __init__(self, physics: nn.Module) -> None:
        if not hasattr(physics, "A_adjoint"):
            raise TypeError(f"{type(physics).__name__} has no A_adjoint; use DeepinvPhysics.")
        super().__init__(physics)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.physics.A_adjoint(y)
