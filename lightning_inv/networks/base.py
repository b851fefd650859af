"""What a network is to the rest of the package."""

import abc

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lightning_inv.recipes import Recorded


class Network(Recorded, nn.Module, abc.ABC):
    """Maps images and times to images. It knows nothing of diffusion.

    Attributes:
        num_classes: The number of classes it is told of, or None.
        checkpointed: For a gradient, keep only what enters each block, and compute the rest of it again.
    """

    num_classes: int | None = None
    checkpointed: bool = False

    @abc.abstractmethod
    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Runs the network.

        Args:
            x: Images, shape ``(B, C, H, W)``.
            t: Times in the network's own unit, shape ``(B,)``.
            label: Classes, shape ``(B,)``, for networks that know classes.

        Returns:
            Shape ``(B, C', H, W)``.
        """

    def blocks(self) -> list[nn.Module]:
        """The large parts, those that ``forward`` calls by ``run``; none if it is small."""
        return []

    def run(self, block: nn.Module, *inputs: Tensor) -> Tensor:
        """What a block makes of its inputs."""
        if self.checkpointed and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)
