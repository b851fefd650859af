"""The blocks that the ADM network is made of."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def time_embedding(t: Tensor, width: int) -> Tensor:
    """Cosines, then sines, of t at ``width / 2`` frequencies from 1 down to 1e-4, shape ``(B, width)``."""
    half = width // 2
    frequencies = torch.exp(-math.log(1e4) / half * torch.arange(half, device=t.device))
    angles = t[:, None].float() * frequencies
    return F.pad(torch.cat([angles.cos(), angles.sin()], 1), (0, width % 2))


def zero(layer: nn.Module) -> nn.Module:
    """The layer with its parameters at zero: a block starts as its skip connection."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Upsample(nn.Module):
    """Doubles height and width by repetition, then convolves if ``channels`` are given."""

    def __init__(self, channels: int | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Downsample(nn.Module):
    """Halves height and width: a strided convolution if ``channels`` are given, or a mean of pixels."""

    def __init__(self, channels: int | None = None) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1) if channels else nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class ResidualBlock(nn.Module):
    """Two convolutions beside a skip connection; the time enters between them.

    Args:
        channels: Channels in.
        out_channels: Channels out.
        embedding: The width of the time embedding.
        groups: The groups of the normalisation.
        dropout: The dropout rate before the second convolution.
        scale_shift: The time scales and shifts the normalised features, instead of being added to them.
        resample: ``Upsample()`` or ``Downsample()`` to change the resolution on the way.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        embedding: int,
        groups: int,
        dropout: float = 0.0,
        scale_shift: bool = True,
        resample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.resample = resample or nn.Identity()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, (1 + scale_shift) * out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(groups, out_channels),
            nn.SiLU(),
            nn.Dropout(dropout),
            zero(nn.Conv2d(out_channels, out_channels, 3, padding=1)),
        )
        same = channels == out_channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        normalise, activate, convolve = self.in_layers
        h = convolve(self.resample(activate(normalise(x))))
        modulation = self.emb_layers(embedding)[..., None, None].to(h.dtype)
        if self.scale_shift:
            scale, shift = modulation.chunk(2, 1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + scale) + shift)
        else:
            h = self.out_layers(h + modulation)
        return self.skip_connection(self.resample(x)) + h


class AttentionBlock(nn.Module):
    """Self-attention over pixels; the channels are split into heads before queries, keys and values.

    Args:
        channels: Channels in and out.
        heads: The number of heads.
        groups: The groups of the normalisation.
    """

    def __init__(self, channels: int, heads: int, groups: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"attention needs channels divisible by heads, got {channels} and {heads}.")
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zero(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        qkv = self.qkv(self.norm(x).reshape(B, C, H * W))
        q, k, v = qkv.view(B, self.heads, -1, H * W).transpose(2, 3).chunk(3, -1)
        h = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(B, C, H * W)
        return x + self.proj_out(h).view(B, C, H, W)


class TimedSequential(nn.Sequential):
    """A sequence of layers of which the residual blocks are given the time embedding."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, ResidualBlock) else layer(x)
        return x


@dataclass(frozen=True)
class Blocks:
    """Makes the blocks of one network, which share these settings."""

    embedding: int
    groups: int
    dropout: float
    scale_shift: bool
    updown: bool
    heads: int
    head_channels: int | None

    def residual(self, channels: int, out: int, resample: nn.Module | None = None) -> ResidualBlock:
        return ResidualBlock(
            channels, out, self.embedding, self.groups, self.dropout, self.scale_shift, resample
        )

    def attention(self, channels: int) -> AttentionBlock:
        if self.head_channels and channels % self.head_channels:
            raise ValueError(f"num_head_channels={self.head_channels} does not divide {channels} channels.")
        heads = channels // self.head_channels if self.head_channels else self.heads
        return AttentionBlock(channels, heads, self.groups)

    def stage(self, channels: int, out: int, attended: bool) -> list[nn.Module]:
        return [self.residual(channels, out), *([self.attention(out)] if attended else [])]

    def down(self, channels: int) -> nn.Module:
        return self.residual(channels, channels, Downsample()) if self.updown else Downsample(channels)

    def up(self, channels: int) -> nn.Module:
        return self.residual(channels, channels, Upsample()) if self.updown else Upsample(channels)

    def encoder(
        self, widths: list[int], attended: list[bool], depth: int
    ) -> tuple[list[nn.Module], list[int]]:
        """The blocks from fine to coarse, and the channels that each hands to the decoder."""
        blocks, skips, channels = [], [], widths[0]
        for level, width in enumerate(widths):
            for _ in range(depth):
                blocks.append(TimedSequential(*self.stage(channels, width, attended[level])))
                channels = width
                skips.append(channels)
            if level < len(widths) - 1:
                blocks.append(TimedSequential(self.down(channels)))
                skips.append(channels)
        return blocks, skips

    def decoder(
        self, widths: list[int], attended: list[bool], depth: int, skips: list[int]
    ) -> list[nn.Module]:
        """The blocks from coarse to fine; each takes one of the skips besides what comes from below."""
        blocks, skips, channels = [], list(skips), widths[-1]
        for level in reversed(range(len(widths))):
            for i in range(depth + 1):
                layers = self.stage(channels + skips.pop(), widths[level], attended[level])
                channels = widths[level]
                blocks.append(
                    TimedSequential(*layers, *([self.up(channels)] if level and i == depth else []))
                )
        return blocks
