"""Tomography."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_inv.operators.base import Images, Operator
from lightning_inv.operators.differentiated import Differentiated


class Radon(Differentiated):
    """Parallel-beam projections: means over lines through the image, outside of which there is 0.

    Angles are spread evenly over half a turn; few of them are sparse-view tomography. y has shape
    ``(B, C, detectors, angles)``, with as many detectors as pixels on the diagonal, and is the line integral
    over the longer side of the image, so that it stays within about [-1, 1].

    Args:
        angles: The number of angles.
    """

    grid: Tensor

    def __init__(self, angles: int = 30) -> None:
        super().__init__()
        if angles < 1:
            raise ValueError(f"Radon.angles must be at least 1, got {angles}.")
        self.angles = angles

    def image_size(self, measured: Sequence[int]) -> None:
        return None  # y has the length of the diagonal

    def prepare(self, images: Images) -> Operator:
        _, H, W = images.shape
        size = math.ceil(math.hypot(H, W))
        theta = torch.arange(self.angles) * math.pi / self.angles
        offset = torch.arange(size, dtype=torch.double) - (size - 1) / 2
        along, across = torch.meshgrid(offset, offset, indexing="ij")
        cos, sin = theta.cos().view(-1, 1, 1), theta.sin().view(-1, 1, 1)
        column, row = across * cos + along * sin, along * cos - across * sin
        grid = torch.stack([2 * column / W, 2 * row / H], -1)
        return self.with_buffers(images, grid=grid.float())

    def forward(self, x: Tensor) -> Tensor:
        B, H, W = len(x), *x.shape[-2:]
        lines = [
            F.grid_sample(x, grid.expand(B, -1, -1, -1), align_corners=False).sum(2) for grid in self.grid
        ]
        return torch.stack(lines, 3) / max(H, W)
