"""The U-Net of ADM (ablated diffusion model), with the parameter names of its public weights.

Source: Dhariwal & Nichol (2021), Diffusion Models Beat GANs on Image Synthesis,
https://arxiv.org/abs/2105.05233, section 3. Attention has no gradient checkpoint of its own, so that a frozen
network can be differentiated with respect to its input.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_inv.networks.base import Network
from lightning_inv.networks.blocks import Blocks, TimedSequential, time_embedding, zero


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
        self.num_classes = num_classes
        embedding = 4 * model_channels
        self.time_embed = nn.Sequential(
            nn.Linear(model_channels, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        if num_classes is not None:
            self.label_emb = nn.Embedding(num_classes, embedding)
        make = Blocks(
            embedding,
            norm_groups,
            dropout,
            use_scale_shift_norm,
            resblock_updown,
            num_heads,
            num_head_channels,
        )
        attended = [image_size >> level in attention_resolutions for level in range(len(widths))]
        stem = TimedSequential(nn.Conv2d(in_channels, widths[0], 3, padding=1))
        encoder, skips = make.encoder(widths, attended, num_res_blocks)
        self.input_blocks = nn.ModuleList([stem, *encoder])
        self.middle_block = TimedSequential(
            make.residual(widths[-1], widths[-1]),
            make.attention(widths[-1]),
            make.residual(widths[-1], widths[-1]),
        )
        self.output_blocks = nn.ModuleList(
            make.decoder(widths, attended, num_res_blocks, [widths[0], *skips])
        )
        self.out = nn.Sequential(
            nn.GroupNorm(norm_groups, widths[0]),
            nn.SiLU(),
            zero(nn.Conv2d(widths[0], out_channels, 3, padding=1)),
        )

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        self._check(x, label)
        embedding = self.time_embed(time_embedding(t, self.model_channels))
        if label is not None:
            embedding = embedding + self.label_emb(label)
        h, skips = x, []
        for block in self.input_blocks:
            h = self.run(block, h, embedding)
            skips.append(h)
        h = self.run(self.middle_block, h, embedding)
        for block in self.output_blocks:
            h = self.run(block, torch.cat([h, skips.pop()], 1), embedding)
        return self.out(h)

    def blocks(self) -> list[nn.Module]:
        return [*self.input_blocks, self.middle_block, *self.output_blocks]

    def _check(self, x: Tensor, label: Tensor | None) -> None:
        if x.shape[1] != self.in_channels or any(side % self.factor for side in x.shape[2:]):
            raise ValueError(
                f"the U-Net takes {self.in_channels} channels and sides divisible by {self.factor}, "
                f"got images of shape {tuple(x.shape[1:])}."
            )
        if (label is not None) != (self.num_classes is not None):
            raise ValueError(f"labels are needed if and only if num_classes is set, got {self.num_classes}.")
