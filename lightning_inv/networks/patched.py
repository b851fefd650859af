"""A network that works on patches of pixels."""

import torch.nn.functional as F
from torch import Tensor

from lightning_inv.networks.base import Network


class Patched(Network):
    """Folds patches of ``patch`` x ``patch`` pixels into channels, runs a network on them, and unfolds.

    A quarter of the positions at patch 2, hence about a quarter of the work, for little loss of quality where
    compute is what limits training.

    Args:
        network: Maps ``(B, C p^2, H / p, W / p)`` to ``(B, C' p^2, H / p, W / p)``.
        patch: The side p of a patch; it divides height and width.

    Raises:
        ValueError: ``patch`` is less than 1.
    """

    def __init__(self, network: Network, patch: int = 2) -> None:
        super().__init__()
        if patch < 1:
            raise ValueError(f"patch must be at least 1, got {patch}.")
        self.network, self.patch, self.num_classes = network, patch, network.num_classes

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return F.pixel_shuffle(self.network(F.pixel_unshuffle(x, self.patch), t, label), self.patch)
