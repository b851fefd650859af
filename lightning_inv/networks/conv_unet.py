"""A U-Net of convolutions alone, for images of any size."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_inv.networks.base import Network
from lightning_inv.networks.blocks import time_embedding, zero


def pixel_norm(x: Tensor) -> Tensor:
    """Each pixel's channels with a mean square of one.

    No statistic is taken over pixels, so that a pixel does not depend on how far the image reaches: a tile
    of a large image is treated as the image is.
    """
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6)


class ConvBlock(nn.Module):
    """Normalised, scaled and shifted by the time, then two convolutions, beside a skip connection.

    Args:
        channels: Channels in and out.
        embedding: The width of the time embedding.
    """

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.modulation = zero(nn.Linear(embedding, 2 * channels))
        self.enter = nn.Conv2d(channels, channels, 3, padding=1)
        self.leave = zero(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[..., None, None].to(x.dtype).chunk(2, 1)
        return x + self.leave(F.silu(self.enter(pixel_norm(x) * (1 + scale) + shift)))


class Stage(nn.ModuleList):
    """Blocks of one resolution, one after another."""

    def __init__(self, depth: int, channels: int, embedding: int) -> None:
        super().__init__(ConvBlock(channels, embedding) for _ in range(depth))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        for block in self:
            x = block(x, embedding)
        return x


class ConvUNet(Network):
    """Folds patches of pixels into channels, halves the resolution from level to level, and goes back up.

    Neither attention nor normalisation over pixels ties it to a size: what an output pixel depends on ends
    at the reach of the convolutions. Sides that its strides do not divide are padded by mirroring, and the
    result is cut.

    The parts are those of Zhang et al. (2021), Plug-and-Play Image Restoration with Deep Denoiser Prior,
    https://arxiv.org/abs/2008.13751 (skips that are added, no normalisation over pixels) and of Ho et al.
    (2020) (the time embedding).

    Args:
        channels: The channels of an image.
        widths: The channels of each level, from fine to coarse.
        depths: The blocks of each level; the coarsest has so many, any other so many on the way down and as
            many on the way up.
        patch: The side of the patches.
        embedding: The width of the time embedding.

    Raises:
        ValueError: ``widths`` and ``depths`` do not fit each other, or a number is less than 1.
    """

    def __init__(
        self,
        channels: int = 3,
        widths: Sequence[int] = (64, 128, 160, 192),
        depths: Sequence[int] = (3, 2, 2, 2),
        patch: int = 2,
        embedding: int = 64,
    ) -> None:
        super().__init__()
        if not widths or len(widths) != len(depths):
            raise ValueError(f"widths and depths must be of one length, got {list(widths)}, {list(depths)}.")
        if min(*widths, *depths, channels, patch, embedding // 2) < 1:
            raise ValueError("channels, widths, depths and patch must be at least 1, embedding at least 2.")
        self.channels, self.patch, self.width = channels, patch, embedding
        self.factor = patch * 2 ** (len(widths) - 1)
        self.time = nn.Sequential(
            nn.Linear(embedding, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU()
        )
        pairs = list(itertools.pairwise(widths))
        self.stem = nn.Conv2d(channels * patch**2, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            Stage(depth, width, embedding) for depth, width in zip(depths, widths, strict=True)
        )
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.up = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in pairs)
        self.decoder = nn.ModuleList(
            Stage(depth, width, embedding) for depth, width in zip(depths[:-1], widths[:-1], strict=True)
        )
        self.head = zero(nn.Conv2d(widths[0], channels * patch**2, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        H, W = x.shape[-2:]
        if x.shape[1] != self.channels:
            raise ValueError(
                f"ConvUNet.channels is {self.channels}, but the images have {x.shape[1]} channels."
            )
        embedding = self.time(time_embedding(t, self.width))
        h = self.stem(F.pixel_unshuffle(mirrored(x, self.factor), self.patch))
        skips = []
        for stage, down in zip(self.encoder[:-1], self.down, strict=True):
            h = self.run(stage, h, embedding)
            skips.append(h)
            h = down(h)
        h = self.run(self.encoder[-1], h, embedding)
        for stage, up in zip(reversed(self.decoder), reversed(self.up), strict=True):
            h = self.run(stage, skips.pop() + F.pixel_shuffle(up(h), 2), embedding)
        return F.pixel_shuffle(self.head(pixel_norm(h)), self.patch)[..., :H, :W]

    def blocks(self) -> list[nn.Module]:
        return [*self.encoder, *self.decoder]


def mirrored(x: Tensor, factor: int) -> Tensor:
    """The images with sides divisible by ``factor``, mirrored below and to the right as often as needed."""
    for dim in (-2, -1):
        side = x.shape[dim]
        reach = torch.arange(side + -side % factor, device=x.device) % (2 * side)
        x = x.index_select(dim, torch.minimum(reach, 2 * side - 1 - reach)) if side % factor else x
    return x
