"""A measurement along the singular directions of its operator."""

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_inv.operators import SVDOperator


class Spectrum(NamedTuple):
    """What y says of each singular direction, everything broadcastable to ``(B, C, H, W)``."""

    A: SVDOperator
    seen: Tensor
    """Whether y says anything of a direction."""
    y: Tensor
    """What it says, in units of x; 0 where it says nothing."""
    level: Tensor
    """The standard deviation of its noise, sigma_y / s; 1 where it says nothing, which is never looked at."""

    @classmethod
    def of(cls, A: SVDOperator, y: Tensor, sigma_y: Tensor) -> "Spectrum":
        """The spectrum of y, whose noise has the deviations ``sigma_y``, shape ``(B or 1, 1, 1, 1)``."""
        level = torch.where(A.seen, sigma_y / torch.where(A.seen, A.s, 1.0), 1.0)
        return cls(A, A.seen, A.solve(y), level)
