"""Files become pictures without loss: 8 bits as they are, all else as numbers.

Pillow decodes what it can. It gives only 8 of the 16 bits of a PNG in colour, so that it is asked for each
half; TIFFs of which it gives less than there is are decoded by tifffile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps
from tifffile import PHOTOMETRIC, TiffFile, TiffPageSeries

from lightning_inv.data.picture import Picture

LUMA = (0.299, 0.587, 0.114)
ORIENTATION = ExifTags.Base.Orientation
TIFF = frozenset({".tif", ".tiff"})


@contextmanager
def refusing() -> Iterator[None]:
    """Makes a ValueError of whatever the libraries raise, which for a damaged file may be anything."""
    try:
        yield
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error


class Numbers(NamedTuple):
    """What a file holds that is no picture of 8 bits.

    Args:
        values: Shape ``(H, W)``, or with channels.
        axis: The axis of the channels, where the file tells it.
        alpha: Whether the last channel is the opacity.
        orientation: How the image is to be turned, as in Exif; 1 if it is upright.
    """

    values: np.ndarray
    axis: int | None = None
    alpha: bool = False
    orientation: int = 1


def decode(path: Path, channels: int, value_range: tuple[float, float] | None) -> Picture:
    """An image file as an upright picture of so many channels.

    Args:
        path: The file.
        channels: The channels asked for.
        value_range: The numbers that are black and white; None for those of the file's type.

    Raises:
        ValueError: The file cannot be decoded, has other channels, or numbers beyond the range.
    """
    found = _decoded(path)
    if isinstance(found, Image.Image):
        if value_range is None:
            return _eight_bits(found, channels)
        mode = found.mode if found.mode in ("L", "RGB", "RGBA") else "RGB"
        found = Numbers(np.asarray(found.convert(mode)), -1, mode == "RGBA")
    values = _with_channels(_scaled(_channels_first(found, channels), value_range), channels)
    planes = Picture.of(values).planes
    return Picture(*(_turned(plane, found.orientation) for plane in planes))


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
        values = np.load(path, mmap_mode="r", allow_pickle=False)
        return _channels_first(Numbers(values), channels).shape
    if path.suffix.lower() not in TIFF or _pillow_suffices(path):
        with Image.open(path) as image:
            width, height = image.size
            colours = 1 if Image.getmodebase(image.mode) == "L" else 3
            turned = image.getexif().get(ORIENTATION, 1) >= 5
        return (colours, width, height) if turned else (colours, height, width)
    with TiffFile(path) as file:
        series = file.series[0]
        found = _told(np.broadcast_to(np.uint8(0), series.shape), series)
    count, height, width = _channels_first(found, channels).shape
    return (count, width, height) if found.orientation >= 5 else (count, height, width)


@refusing()
def _decoded(path: Path) -> Image.Image | Numbers:
    """What a file holds; a picture is upright."""
    if path.suffix.lower() == ".npy":
        return Numbers(np.load(path, allow_pickle=False))
    if path.suffix.lower() in TIFF and not _pillow_suffices(path):
        return _tiff(path)
    with Image.open(path) as file:
        if file.format == "PNG" and (kind := file.tile[0][3]) in ("LA;16B", "RGB;16B", "RGBA;16B"):
            return _png(path, kind.removesuffix(";16B"), file.getexif().get(ORIENTATION, 1))
        image = ImageOps.exif_transpose(file)
        if image.mode == "I":  # a PGM of more than 8 bits, which Pillow scales to 16
            return Numbers(np.asarray(image).astype(np.uint16))
        return Numbers(np.asarray(image)) if image.mode.startswith(("I", "F")) else image


def _pillow_suffices(path: Path) -> bool:
    """Whether Pillow gives every channel and every bit of a TIFF."""
    try:
        with Image.open(path) as file:
            if file.format != "TIFF":
                return True
            tags = file.tag_v2
            bits, samples = tags.get(258, (1,)), tags.get(277, 1)
            deep = max(bits) > 8 and file.mode not in ("I;16", "I;16B", "F")
            sideways = tags.get(ORIENTATION, 1) >= 5  # grey ones come out garbled
            white_is_0 = max(bits) > 8 and tags.get(262) == PHOTOMETRIC.MINISWHITE
            return (
                file.n_frames == 1
                and samples == len(file.getbands())
                and not (deep or sideways or white_is_0)
            )
    except Image.UnidentifiedImageError:
        return False


def _png(path: Path, kind: str, orientation: int) -> Numbers:
    """A PNG of 16 bits a channel, not grey alone."""
    if kind == "LA":
        halves = _bytes(path, "RGBA")  # four bytes a pixel: high and low ones in turn
        high, low = halves[..., ::2], halves[..., 1::2]
    else:
        high, low = _bytes(path, f"{kind};16B"), _bytes(path, f"{kind};16L")
    return Numbers(high * np.uint16(256) + low, -1, kind != "RGB", orientation)


def _bytes(path: Path, unpacker: str) -> np.ndarray:
    """The bytes of a PNG that one of Pillow's unpackers gives, shape ``(H, W, C)``."""
    with Image.open(path) as file:
        file.tile = [(*file.tile[0][:3], unpacker)]
        return np.asarray(file).astype(np.uint16)


def _tiff(path: Path) -> Numbers:
    """The first image of a TIFF, whatever its numbers and channels."""
    with TiffFile(path) as file:
        series = file.series[0]
        found = _told(series.asarray(), series)
        light = series.keyframe.photometric
    if light not in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.RGB):
        raise ValueError(f"its colours are of a kind that is not supported (photometric {int(light)})")
    inverted = light == PHOTOMETRIC.MINISWHITE and found.values.dtype.kind == "u"
    return found._replace(values=np.invert(found.values)) if inverted else found


def _told(values: np.ndarray, series: TiffPageSeries) -> Numbers:
    """Values, with what a TIFF tells of them."""
    page = series.keyframe
    axes = [series.axes.find(name) for name in "SC" if name in series.axes]
    alpha = any("ALPHA" in extra.name for extra in page.extrasamples[-1:])
    tag = page.tags.get(int(ORIENTATION))
    return Numbers(values, axes[0] if axes else None, alpha, tag.value if tag else 1)


def _turned(plane: Image.Image, orientation: int) -> Image.Image:
    """A plane, upright."""
    if orientation == 1:
        return plane
    plane.getexif()[ORIENTATION] = orientation
    return ImageOps.exif_transpose(plane)


def _channels_first(numbers: Numbers, channels: int | None) -> np.ndarray:
    """The values in the shape ``(C, H, W)``, the opacity left out unless it was asked for."""
    values = numbers.values
    if values.ndim == 2:
        return values[None]
    if values.ndim != 3:
        raise ValueError(f"it has shape {values.shape}, not (H, W), (H, W, C) or (C, H, W)")
    axis = _axis(values.shape, channels) if numbers.axis is None else numbers.axis
    values = np.moveaxis(values, axis, 0)
    return values[:-1] if numbers.alpha and len(values) != channels else values


def _axis(shape: tuple[int, ...], channels: int | None) -> int:
    """Which end of a shape is that of the channels."""
    if channels is None:
        return 0 if shape[0] < shape[2] else 2
    for wanted in (channels, {1: 3, 3: 1}.get(channels)):
        ends = [axis for axis in (0, 2) if shape[axis] == wanted]
        if len(ends) == 2:
            raise ValueError(f"its shape {shape} has {wanted} at both ends, where the channels may be")
        if ends:
            return ends[0]
    raise ValueError(f"no end of its shape {shape} is {channels}, the channels asked for (data.channels)")


def _scaled(values: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    """The values in [0, 1]."""
    low, high = _known_range(values.dtype) if value_range is None else value_range
    least, most = float(values.min()), float(values.max())
    if not (low <= least and most <= high):  # not a number fails, too
        raise ValueError(
            f"its values reach from {least:g} to {most:g}, beyond [{low:g}, {high:g}]; "
            "data.value_range says which are black and white"
        )
    return ((values - np.float64(low)) / (high - low)).astype(np.float32)


def _known_range(kind: np.dtype[Any]) -> tuple[float, float]:
    """The numbers that are black and white where the user does not say."""
    if kind.kind in "fb":
        return 0.0, 1.0
    if kind.kind == "u" and kind.itemsize <= 2:
        return 0.0, float(np.iinfo(kind).max)
    if kind.kind in "ui":
        raise ValueError(f"its values of the type {kind} have no known range; data.value_range gives one")
    raise ValueError(f"it holds {kind}, not real numbers")


def _with_channels(values: np.ndarray, channels: int) -> np.ndarray:
    """The values with so many channels: grey and RGB become each other, as Pillow has it."""
    if len(values) == channels:
        return values
    if {len(values), channels} == {1, 3}:
        return np.tensordot(np.float32(LUMA), values, 1)[None] if channels == 1 else np.repeat(values, 3, 0)
    raise ValueError(_other_channels(len(values), channels))


def _eight_bits(image: Image.Image, channels: int) -> Picture:
    """A picture of 8 bits with so many channels."""
    if channels in (1, 3):
        return Picture(image.convert("L" if channels == 1 else "RGB"))
    if image.mode in ("LA", "RGBA", "CMYK") and len(image.getbands()) == channels:
        return Picture(*image.split())
    raise ValueError(_other_channels(1 if Image.getmodebase(image.mode) == "L" else 3, channels))


def _other_channels(found: int, channels: int) -> str:
    return f"it has {found} channel{'s' * (found > 1)}, but {channels} were asked for (data.channels)"
