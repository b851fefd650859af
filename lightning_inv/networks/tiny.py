"""A network for tests and first trials."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_inv.networks.base import Network


class TinyNetwork(Network):
    """Three convolutions.

    Args:
        channels: The channels of an image.
        width: The channels inside.
    """

    def __init__(self, channels: int = 1, width: int = 16) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width))
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.leave = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        h = self.enter(x) + self.time(t[:, None] / 1000)[..., None, None]
        return self.leave(F.silu(self.middle(F.silu(h))))


class ZeroNetwork(Network):
    """Predicts zero; a stand-in where the prior does not matter.

    Args:
        channels: The channels of the output.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return torch.zeros_like(x[:, :1]).expand(-1, self.channels, -1, -1)
