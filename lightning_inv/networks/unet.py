"""The U-Net of ADM (ablated diffusion model), with the parameter names of its public weights.

Source: Dhariwal & Nichol (2021), Diffusion Models Beat GANs on Image Synthesis,
https://arxiv.org/abs/2105.05233, section 3. Attention has no gradient checkpoint of its own, so that a frozen
network can be differentiated with respect to its input.
"""

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_inv.networks.base import Network


def time_embedding(t: Tensor, width: int) -> Tensor:
    """Cosines, then sines, of t at ``width / 2`` frequencies from 1 down to 1e-4, shape ``(B, width)``."""
    half = width // 2
    frequencies = torch.exp(-math.log(1e4) / half * torch.arange(half, device=t.device))
    angles = t[:, None].float() * frequencies
    return F.pad(torch.cat([angles.cos(), angles.sin()], 1), (0, width % 2))


def _zero(layer: nn.Module) -> nn.Module:
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
    """Halves height and width: a strided convolution if ``channels`` are given, or the mean of 2 x 2 pixels."""

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
            _zero(nn.Conv2d(out_channels, out_channels, 3, padding=1)),
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
        self.proj_out = _zero(nn.Conv1d(channels, channels, 1))

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


class UNet(Network):
    """The ADM network; argument names follow the flags of guided-diffusion.

    Args:
        image_size: The height of the images, which fixes where attention stands. Height and width must be
            divisible by 2^(levels - 1).
        in_channels: The channels of an image.
        out_channels: The channels of the output: those of an image, or twice as many with a learned variance.
        model_channels: The base width.
        channel_mult: The width of each level, in units of ``model_channels``.
        num_res_blocks: Residual blocks a level.
        attention_resolutions: Heights, in pixels, at which attention is used.
        num_heads: Attention heads, unless ``num_head_channels`` is given.
        num_head_channels: The channels of one head.
        num_classes: The number of classes, for a network that is told labels.
        dropout: The dropout rate.
        use_scale_shift_norm: Whether the time scales and shifts features.
        resblock_updown: Whether residual blocks change the resolution, rather than strided convolutions.
        norm_groups: The groups of each normalisation; public weights have 32.

    Raises:
        ValueError: A width is not divisible by the groups or the heads.
    """

    def __init__(  # noqa: PLR0913 (the flags of the public weights)
        self,
        image_size: int,
        in_channels: int = 1,
        out_channels: int = 1,
        model_channels: int = 64,
        channel_mult: Sequence[float] = (1, 2, 4),
        num_res_blocks: int = 2,
        attention_resolutions: Sequence[int] = (8,),
        num_heads: int = 4,
        num_head_channels: int | None = None,
        num_classes: int | None = None,
        dropout: float = 0.0,
        use_scale_shift_norm: bool = True,
        resblock_updown: bool = True,
        norm_groups: int = 32,
    ) -> None:
        super().__init__()
        widths = [int(mult * model_channels) for mult in channel_mult]
        if bad := [width for width in widths if width % norm_groups or width < norm_groups]:
            raise ValueError(f"every width must be divisible by norm_groups={norm_groups}, got {bad}.")
        self.in_channels, self.model_channels, self.factor = (
            in_channels,
            model_channels,
            2 ** (len(widths) - 1),
        )
        embedding = 4 * model_channels
        self.time_embed = nn.Sequential(
            nn.Linear(model_channels, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        if num_classes is not None:
            self.label_emb = nn.Embedding(num_classes, embedding)
        self.num_classes = num_classes

        def residual(channels: int, out: int, resample: nn.Module | None = None) -> ResidualBlock:
            return ResidualBlock(
                channels, out, embedding, norm_groups, dropout, use_scale_shift_norm, resample
            )

        def attention(channels: int) -> AttentionBlock:
            heads = channels // num_head_channels if num_head_channels else num_heads
            return AttentionBlock(channels, heads, norm_groups)

        def stage(channels: int, out: int, size: int) -> list[nn.Module]:
            return [residual(channels, out), *([attention(out)] if size in attention_resolutions else [])]

        def down(channels: int) -> nn.Module:
            return residual(channels, channels, Downsample()) if resblock_updown else Downsample(channels)

        def up(channels: int) -> nn.Module:
            return residual(channels, channels, Upsample()) if resblock_updown else Upsample(channels)

        last = len(widths) - 1
        channels, skips = widths[0], [widths[0]]
        blocks = [TimedSequential(nn.Conv2d(in_channels, channels, 3, padding=1))]
        for level, width in enumerate(widths):
            for _ in range(num_res_blocks):
                blocks.append(TimedSequential(*stage(channels, width, image_size >> level)))
                channels = width
                skips.append(channels)
            if level < last:
                blocks.append(TimedSequential(down(channels)))
                skips.append(channels)
        self.input_blocks = nn.ModuleList(blocks)
        self.middle_block = TimedSequential(
            residual(channels, channels), attention(channels), residual(channels, channels)
        )
        blocks = []
        for level, width in reversed(list(enumerate(widths))):
            for i in range(num_res_blocks + 1):
                layers = stage(channels + skips.pop(), width, image_size >> level)
                channels = width
                blocks.append(
                    TimedSequential(*layers, *([up(channels)] if level and i == num_res_blocks else []))
                )
        self.output_blocks = nn.ModuleList(blocks)
        self.out = nn.Sequential(
            nn.GroupNorm(norm_groups, channels),
            nn.SiLU(),
            _zero(nn.Conv2d(channels, out_channels, 3, padding=1)),
        )

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        self._check(x, label)
        embedding = self.time_embed(time_embedding(t, self.model_channels))
        if label is not None:
            embedding = embedding + self.label_emb(label)
        h, skips = x, []
        for block in self.input_blocks:
            h = block(h, embedding)
            skips.append(h)
        h = self.middle_block(h, embedding)
        for block in self.output_blocks:
            h = block(torch.cat([h, skips.pop()], 1), embedding)
        return self.out(h)

    def _check(self, x: Tensor, label: Tensor | None) -> None:
        if x.shape[1] != self.in_channels or any(side % self.factor for side in x.shape[2:]):
            raise ValueError(
                f"the U-Net takes {self.in_channels} channels and sides divisible by {self.factor}, "
                f"got images of shape {tuple(x.shape[1:])}."
            )
        if (label is not None) != (self.num_classes is not None):
            raise ValueError(f"labels are needed if and only if num_classes is set, got {self.num_classes}.")


def parameter_count(module: nn.Module | Iterable[nn.Parameter]) -> int:
    """The number of parameters."""
    parameters = module.parameters() if isinstance(module, nn.Module) else module
    return sum(parameter.numel() for parameter in parameters)
