"""Images as pictures: files, and the comparison grid."""

import io
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from lightning_inv.files import atomic_write

TILE, BAR, GAP = 128, 18, 4


def picture(x: Tensor) -> Image.Image:
    """An image in [-1, 1], shape ``(C, H, W)``, as a picture; other channel counts show their mean."""
    pixels = ((x.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return to_pil_image(
        pixels if len(pixels) in (1, 3) else pixels.float().mean(0, keepdim=True).to(torch.uint8)
    )


def write_png(path: Path, x: Tensor) -> None:
    """Writes an image in [-1, 1], shape ``(C, H, W)``, as PNG, whole or not at all."""
    write_picture(path, picture(x))


def write_picture(path: Path, image: Image.Image) -> None:
    """Writes a picture as PNG, whole or not at all."""
    data = io.BytesIO()
    image.save(data, "png")
    with atomic_write(path) as file:
        file.write(data.getvalue())


Cell = tuple[Tensor | None, str]
"""An image in [-1, 1], shape ``(C, H, W)``, or None for a gap, and its caption."""


def comparison(columns: list[str], rows: list[list[Cell]], fixed: int = 0, widest: int = 10) -> Image.Image:
    """A grid of pictures with a heading for each column and a caption for each picture.

    Args:
        columns: The headings.
        rows: The cells of each row.
        fixed: How many of the first columns, such as the truth, begin each band.
        widest: Columns side by side, at most; where there are more, bands of them lie below one another.
    """
    free = max(1, widest - fixed)
    starts = range(fixed, max(len(columns), fixed + 1), free)
    bands = [[*range(fixed), *range(start, min(start + free, len(columns)))] for start in starts]
    width, height = max(map(len, bands)) * (TILE + GAP) + GAP, len(rows) * (TILE + BAR + GAP) + BAR + GAP
    sheet = Image.new("RGB", (width, height * len(bands)), "white")
    for i, band in enumerate(bands):
        part = _band([columns[c] for c in band], [[row[c] for c in band] for row in rows])
        sheet.paste(part, (0, i * height))
    return sheet


def _band(columns: list[str], rows: list[list[Cell]]) -> Image.Image:
    """All columns side by side."""
    font = ImageFont.load_default(13)
    width, height = len(columns) * (TILE + GAP) + GAP, len(rows) * (TILE + BAR + GAP) + BAR + GAP
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for c, heading in enumerate(columns):
        left = GAP + c * (TILE + GAP)
        draw.text((left + TILE / 2, BAR / 2), _short(heading, font), "black", font, anchor="mm")
        for r, row in enumerate(rows):
            image, caption = row[c]
            top = BAR + r * (TILE + BAR + GAP)
            if image is not None:
                small = picture(image)
                sheet.paste(
                    small.resize(_fit(small.size), Image.Resampling.NEAREST).convert("RGB"), (left, top)
                )
            draw.text((left + TILE / 2, top + TILE + BAR / 2), caption, "black", font, anchor="mm")
    return sheet


def _short(heading: str, font: ImageFont.FreeTypeFont) -> str:
    """The heading, without its middle where it is wider than a tile."""
    told, keep = heading, len(heading)
    while font.getlength(told) > TILE and keep > 2:
        keep -= 1
        told = f"{heading[: keep // 2]}..{heading[-(keep // 2) :]}"
    return told


def _fit(size: tuple[int, int]) -> tuple[int, int]:
    """The size at which a picture fills a tile without distortion."""
    scale = TILE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
