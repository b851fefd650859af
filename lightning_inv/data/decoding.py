"""Files become pictures without loss: 8 bits as they are, all else as numbers.

Pillow decodes what it can; ``png`` and ``tiff`` decode that of which it gives less than there is.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from lightning_inv.arrays import read_npy
from lightning_inv.data.contents import FileContents, readable
from lightning_inv.data.picture import Picture
from lightning_inv.data.png import orientation_of, read_png
from lightning_inv.data.tiff import header, open_tiff, pillow_suffices, read_tiff
from lightning_inv.data.values import (
    ORIENTATION,
    SIDEWAYS,
    Numbers,
    channels_first,
    checked,
    image_of,
    other_channels,
)
from lightning_inv.opening import check_bytes, check_pixels, open_picture, refusing

TIFF = frozenset({".tif", ".tiff"})


def decode(
    path: Path | FileContents,
    channels: int,
    value_range: tuple[float, float] | None,
    least: int | None = None,
) -> Picture:
    """An image file as an upright picture of so many channels, over white where it is transparent.

    Args:
        path: The file.
        channels: The channels asked for; the opacity is one where their number is that of the file with it.
        value_range: The numbers that are black and white; None for those of the file's type.
        least: The pixels that the shorter side must keep; a JPEG is decoded at a half, a quarter or an eighth
            of its size where they are enough, which is faster. None decodes every file at its size.

    Raises:
        Misfit: It has other channels, or numbers beyond the range.
        ValueError: The file cannot be decoded.
    """
    found = _decoded(path, least)
    if isinstance(found, Image.Image) and value_range is None:
        return _eight_bits(found, channels)
    numbers = _numbers(found)
    planes = Picture.of(image_of(numbers, channels, value_range)).planes
    return Picture(*(_turned(plane, numbers.orientation) for plane in planes))


def verify(path: Path, channels: int, value_range: tuple[float, float] | None) -> int | None:
    """Decodes a file in full and checks what ``decode`` checks, in less time and memory: nothing is scaled.

    Returns:
        The highest of its numbers, if they are integers of 16 bits; None for those of another type.

    Raises:
        Misfit: As in ``decode``.
        ValueError: As in ``decode``.
    """
    found = _decoded(path)
    if isinstance(found, Image.Image) and value_range is None:
        _eight_bits(found, channels)
        return None
    values, _, _ = checked(_numbers(found), channels, value_range)
    return int(values.max()) if values.dtype.kind == "u" and values.dtype.itemsize == 2 else None


def check_length(path: Path) -> None:
    """Raises ValueError if a file is longer than an image, so that it is not even worth a hash.

    A TIFF may hold many images, and be of any length.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        read_npy(path, _check_array, header=True)
    elif suffix not in TIFF:
        check_bytes(path.stat().st_size)


def _numbers(found: Image.Image | Numbers) -> Numbers:
    """What a file holds, as numbers."""
    if isinstance(found, Numbers):
        return found
    mode = "RGBA" if found.has_transparency_data else "L" if found.mode == "L" else "RGB"
    return Numbers(np.asarray(found.convert(mode)), -1, mode == "RGBA")


@refusing()
def image_shape(path: Path, channels: int | None = None) -> tuple[int, int, int]:
    """Channels without opacity, height and width of an image file; reads the header only.

    Args:
        path: The file.
        channels: The channels asked for, which tell the layout of a .npy file; None guesses that the shorter
            end is that of the channels.

    Raises:
        ValueError: There is no such file, or its header is damaged.
    """
    if path.suffix.lower() == ".npy":
        values = read_npy(path, _check_array, header=True)
        return channels_first(Numbers(values), channels).shape
    if path.suffix.lower() not in TIFF or pillow_suffices(path):
        with open_picture(path, header=True) as image:
            width, height = image.size
            colours = 1 if Image.getmodebase(image.mode) == "L" else 3
            turned = _orientation(image, path) in SIDEWAYS
        return (colours, width, height) if turned else (colours, height, width)
    with open_tiff(path) as series:
        found = header(series)
    count, height, width = channels_first(found, channels).shape
    return (count, width, height) if found.orientation in SIDEWAYS else (count, height, width)


@refusing()
def _decoded(path: Path | FileContents, least: int | None = None) -> Image.Image | Numbers:
    """What a file holds; a picture is upright."""
    if path.suffix.lower() == ".npy":
        return Numbers(read_npy(readable(path), _check_array))
    if path.suffix.lower() in TIFF and not pillow_suffices(path):
        return read_tiff(path)
    with open_picture(readable(path)) as file:
        if file.format == "PNG" and (kind := file.tile[0][3]) in ("LA;16B", "RGB;16B", "RGBA;16B"):
            return read_png(path, kind.removesuffix(";16B"), _orientation(file, path))
        if least is not None:
            file.draft(None, (least, least))
        image = ImageOps.exif_transpose(file)
        if image.mode == "I":  # a PGM of more than 8 bits, which Pillow scales to 16
            return Numbers(np.asarray(image).astype(np.uint16))
        return Numbers(np.asarray(image)) if image.mode.startswith(("I", "F")) else image


def _check_array(values: np.ndarray) -> None:
    """Raises ValueError unless an array can be an image, and is not too large."""
    count, height, width = channels_first(Numbers(values), None).shape
    check_pixels(height, width, count)


def _orientation(image: Image.Image, path: Path | FileContents) -> int:
    """How an open file is to be turned, as in Exif; no pixel is decoded."""
    return orientation_of(path) if image.format == "PNG" else image.getexif().get(ORIENTATION, 1)


def _turned(plane: Image.Image, orientation: int) -> Image.Image:
    """A plane, upright."""
    if orientation == 1:
        return plane
    plane.getexif()[ORIENTATION] = orientation
    return ImageOps.exif_transpose(plane)


def _eight_bits(image: Image.Image, channels: int) -> Picture:
    """A picture of 8 bits with so many channels."""
    if channels in (1, 3):
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        return Picture(image.convert("L" if channels == 1 else "RGB"))
    if image.mode in ("LA", "RGBA", "CMYK") and len(image.getbands()) == channels:
        return Picture(*image.split())
    raise other_channels(1 if Image.getmodebase(image.mode) == "L" else 3, channels)
