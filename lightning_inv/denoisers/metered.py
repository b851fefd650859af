"""A denoiser as a run sees it: counted, and with the network alone in low precision."""

import torch
from torch import Tensor

from lightning_inv.denoisers.base import Denoiser, Estimate


class MeteredDenoiser(Denoiser):
    """Counts the calls of a denoiser and runs them under autocast if asked; all else stays in float32.

    Args:
        denoiser: The denoiser.
        autocast: The precision of the network, or None for that of its weights.

    Attributes:
        forward_calls: Forward evaluations so far.
        backward_calls: Backward evaluations, with respect to the input, so far.
    """

    def __init__(self, denoiser: Denoiser, autocast: torch.dtype | None = None) -> None:
        super().__init__()
        self.denoiser, self.autocast = denoiser, autocast
        self.schedule, self.shape = denoiser.schedule, denoiser.shape
        self.forward_calls = self.backward_calls = 0

    @property
    def evaluations(self) -> int:
        """Network evaluations so far, forward and backward."""
        return sum(self.calls)

    @property
    def calls(self) -> tuple[int, int]:
        """Forward and backward evaluations so far."""
        return self.forward_calls, self.backward_calls

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        self.forward_calls += 1
        if x_t.requires_grad:
            x_t = x_t.view_as(x_t)  # a name of its own for the hook, whose gradient is taken once a backward
            x_t.register_hook(self._count_backward)
        enabled = self.autocast is not None
        with torch.autocast(x_t.device.type, dtype=self.autocast or torch.bfloat16, enabled=enabled):
            return self.denoiser(x_t, t, label)

    def _count_backward(self, gradient: Tensor) -> None:
        self.backward_calls += 1
