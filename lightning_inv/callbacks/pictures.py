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


def write_png(path: Path, x: Tensor, parts: Path | None = None) -> None:
    """Writes an image in [-1, 1], shape ``(C, H, W)``, as PNG, whole or not at all."""
    write_picture(path, picture(x), parts)


def write_picture(path: Path, image: Image.Image, parts: Path | None = None) -> None:
    """Writes a picture, whole or not at all: as PNG, or as WebP, with some loss, where the name says so.

    Args:
        path: The file.
        image: The picture.
        parts: Where it is written before it is whole, see ``atomic_write``.
    """
    data = io.BytesIO()
    image.save(data, "webp" if path.suffix == ".webp" else "png", quality=86)
    with atomic_write(path, parts) as file:
        file.write(data.getvalue())


Cell = tuple[Tensor | None, str]
"""An image in [-1, 1], shape ``(C, H, W)``, or None for a gap, and its caption."""


def comparison(
    columns: list[str],
    rows: list[list[Cell]],
    fixed: int = 0,
    widest: int = 10,
    tile: tuple[int, int] = (TILE, TILE),
) -> Image.Image:
    """A grid of pictures with a heading for each column and a caption for each picture.

    Args:
        columns: The headings.
        rows: The cells of each row.
        fixed: How many of the first columns, such as the truth, begin each band.
        widest: Columns side by side, at most; where there are more, bands of them lie below one another.
        tile: The width and height in pixels that a picture is made to fit.
    """
    free = max(1, widest - fixed)
    starts = range(fixed, max(len(columns), fixed + 1), free)
    bands = [[*range(fixed), *range(start, min(start + free, len(columns)))] for start in starts]
    parts = [
        _band([columns[c] for c in band], [[row[c] for c in band] for row in rows], tile) for band in bands
    ]
    sheet = Image.new("RGB", (parts[0].width, parts[0].height * len(parts)), "white")
    for i, part in enumerate(parts):
        sheet.paste(part, (0, i * part.height))
    return sheet


def _band(columns: list[str], rows: list[list[Cell]], tile: tuple[int, int]) -> Image.Image:
    """All columns side by side."""
    font, (width, height) = ImageFont.load_default(13), tile
    across, down = width + GAP, height + BAR + GAP
    sheet = Image.new("RGB", (len(columns) * across + GAP, len(rows) * down + BAR + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for c, heading in enumerate(columns):
        left = GAP + c * across
        draw.text((left + width / 2, BAR / 2), _short(heading, font, width), "black", font, anchor="mm")
        for r, row in enumerate(rows):
            image, caption = row[c]
            top = BAR + r * down
            if image is not None:
                sheet.paste(_fitted(picture(image), tile), (left, top))
            draw.text((left + width / 2, top + height + BAR / 2), caption, "black", font, anchor="mm")
    return sheet


def _short(heading: str, font: ImageFont.FreeTypeFont, width: int = TILE) -> str:
    """The heading, without its middle where it is wider than a tile."""
    told, keep = heading, len(heading)
    while font.getlength(told) > width and keep > 2:
        keep -= 1
        told = f"{heading[: keep // 2]}..{heading[-(keep // 2) :]}"
    return told


def _fitted(image: Image.Image, tile: tuple[int, int]) -> Image.Image:
    """The picture as large as a tile has room for, undistorted; its pixels show where it is enlarged."""
    scale = min(room / side for room, side in zip(tile, image.size, strict=True))
    size = [max(1, round(scale * side)) for side in image.size]
    way = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return image.convert("RGB").resize(size, way)
