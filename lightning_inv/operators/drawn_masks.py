"""Masks that are drawn with a pen: text and strokes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lightning_inv.noise import generator
from lightning_inv.operators.base import Images
from lightning_inv.operators.masks import Mask

LOREM = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore"


@dataclass(frozen=True)
class TextMask(Mask):
    """Words written all over the image are hidden, as by a watermark.

    Args:
        text: The words; they are repeated until the image is full.
        size: The height of a line in pixels; an eighth of the image if None.
    """

    text: str = LOREM
    size: int | None = None

    def check(self, shape: tuple[int, int, int], names: Sequence[str]) -> None:
        if not self.text.strip():
            raise ValueError("TextMask.text must hold at least one word.")
        if self.size is not None and self.size < 4:
            raise ValueError(f"TextMask.size must be at least 4 pixels, got {self.size}.")

    def draw(self, images: Images) -> Tensor:
        _, H, W = images.shape
        size = self.size or max(4, H // 8)
        font, canvas = ImageFont.load_default(size), Image.new("L", (W, H), 255)
        pen, words, i = ImageDraw.Draw(canvas), self.text.split(), 0
        for top in range(0, H, size + size // 4):
            line = ""
            while pen.textlength(line, font) < W:
                line, i = f"{line} {words[i % len(words)]}".lstrip(), i + 1
            pen.text((0, top), line, 0, font)
        return as_mask(canvas)[None]


@dataclass(frozen=True)
class StrokeMask(Mask):
    """Strokes of a brush are hidden, drawn anew for each image until the share wanted is covered.

    Free-form masks are usually given in bins of the hidden share: 10 to 20, 20 to 30, 30 to 40 %.

    Args:
        low: The least fraction of pixels that is hidden.
        high: The largest one.
        width: The width of the brush over the side of the image; small for drawings of lines.
    """

    random: ClassVar[bool] = True

    low: float = 0.2
    high: float = 0.3
    width: float = 0.08

    def check(self, shape: tuple[int, int, int], names: Sequence[str]) -> None:
        if not 0 < self.low < self.high < 1:
            raise ValueError(f"a StrokeMask needs 0 < low < high < 1, got {self.low} and {self.high}.")
        if not 0 < self.width < 1:
            raise ValueError(f"StrokeMask.width must be in (0, 1), got {self.width}.")
        if math.floor(self.high * shape[1] * shape[2]) <= self.low * shape[1] * shape[2]:
            raise ValueError(
                f"no number of pixels out of {shape[1]} x {shape[2]} is between the fractions "
                f"{self.low} and {self.high}."
            )

    def draw(self, images: Images) -> Tensor:
        keys = images.rng.uniform((1,)).flatten().mul(2**24).long().tolist()
        return torch.stack([self._draw(key, *images.shape[1:]) for key in keys])

    def _draw(self, key: int, H: int, W: int) -> Tensor:
        """One mask, shape ``(1, H, W)``: strokes are added while they fit below ``high``."""
        rng, mask, brush = generator("strokes", key), torch.ones(1, H, W), self.width
        while (1 - mask).mean() < self.low:
            more = mask * self._stroke(rng, H, W, brush)
            if (1 - more).mean() <= self.high:
                mask = more
            else:
                brush = max(0.8 * brush, 1 / max(H, W))  # too much at once: a finer brush
        return mask

    def _stroke(self, rng: torch.Generator, H: int, W: int, brush: float) -> Tensor:
        """A path of a few bends, 0 where the brush went."""
        side = max(H, W)
        width = max(1, round(brush * side))
        bends = int(torch.randint(2, 6, (), generator=rng))
        angles = 2 * math.pi * torch.rand(1, generator=rng) + (
            1.2 * torch.randn(bends, generator=rng)
        ).cumsum(0)
        lengths = brush * side * (1 + 3 * torch.rand(bends, generator=rng))
        steps = lengths * torch.stack([angles.cos(), angles.sin()])
        path = torch.rand(2, 1, generator=rng) * torch.tensor([[W], [H]]) + torch.cat(
            [torch.zeros(2, 1), steps.cumsum(1)], 1
        )
        canvas = Image.new("L", (W, H), 255)
        points = [(round(x), round(y)) for x, y in path.T.tolist()]
        ImageDraw.Draw(canvas).line(points, 0, width, joint="curve")
        return as_mask(canvas)


def as_mask(canvas: Image.Image) -> Tensor:
    """1 where a grey picture is brighter than middle grey, else 0, shape ``(1, H, W)``."""
    pixels = torch.frombuffer(bytearray(canvas.tobytes()), dtype=torch.uint8)
    return pixels.view(1, canvas.height, canvas.width).gt(127).float()
