"""Mirror symmetry."""

from typing import Literal

from torch import Tensor

from lightning_inv.constraints.base import Constraint

AXES = {"left_right": -1, "up_down": -2}


class Symmetry(Constraint):
    """An image equals its mirror image: the energy is |x - mirror(x)|^2.

    Source: Graikos et al. (2022), the MNIST experiment.

    Args:
        axis: What changes places with what.
        broken: Asks for the contrary: the energy is -|x - mirror(x)|^2, which has no bound unless x is
            clipped.

    Raises:
        ValueError: There is no such axis.
    """

    def __init__(self, axis: Literal["left_right", "up_down"] = "left_right", broken: bool = False) -> None:
        super().__init__()
        if axis not in AXES:
            raise ValueError(f"Symmetry.axis must be one of {', '.join(AXES)}, got {axis!r}.")
        self.dim, self.sign = AXES[axis], -1.0 if broken else 1.0

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.sign * (x - x.flip(self.dim)).square().flatten(1).sum(1)

    def entries(self, x: Tensor, y: Tensor | None = None) -> int:
        return x[0].numel()
