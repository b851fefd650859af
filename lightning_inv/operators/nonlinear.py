"""Nonlinear operators."""

from torch import Tensor

from lightning_inv.operators.base import Operator


class HighDynamicRange(Operator):
    """A(x) = clip(gain x, -1, 1), a camera that saturates; where it does, the gradient is 0.

    Args:
        gain: The exposure.
    """

    def __init__(self, gain: float = 2.0) -> None:
        super().__init__()
        if gain <= 0:
            raise ValueError(f"HighDynamicRange.gain must be positive, got {gain}.")
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        return (self.gain * x).clamp(-1, 1)

    def pinv(self, y: Tensor) -> Tensor:
        """The image y / gain, which the code of RED-diff starts from."""
        return y / self.gain
