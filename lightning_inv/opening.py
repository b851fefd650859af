"""Image files are opened here alone: of the formats that are read, and no larger than is allowed.

Pillow knows many more formats and finds them by contents whatever a name says; for PostScript it starts
another program. Of each file only the header is read here, so that what is too large is never decoded.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import jpeg_factory
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

Kind = Callable[[BinaryIO], ImageFile]
"""What reads the header of a picture."""
FORMATS: Mapping[bytes, Kind] = {
    rb"\x89PNG\r\n\x1a\n": PngImageFile,
    rb"\xff\xd8\xff": jpeg_factory,  # of several pictures in one file (MPO) too, of which the first is read
    rb"BM": BmpImageFile,
    rb"II[*+]\0|MM\0[*+]|II\0\*|MM\*\0": TiffImageFile,
    rb"RIFF....WEBP": WebPImageFile,
    rb"P[1-6f]\s": PpmImageFile,
}
"""How a file of each format begins."""
MOST_PIXELS = 178_956_970
"""The pixels of an image, at most: the number above which Pillow refuses, too."""
VARIABLE = "LIGHTNING_INV_MAX_PIXELS"
"""The environment variable that allows another number."""
REST = 2**26
"""Bytes of a file, at most, that are no pixels."""


def most_pixels() -> int:
    """The pixels of an image, at most.

    Raises:
        ValueError: The environment says no number.
    """
    told = os.environ.get(VARIABLE, str(MOST_PIXELS))
    if not told.isdecimal() or int(told) < 1:
        raise ValueError(f"{VARIABLE} must be a number of pixels, got {told!r}")
    return int(told)


def check_pixels(height: int, width: int, channels: int = 4) -> None:
    """Raises ValueError if an image is larger than is allowed; a pixel is one of four channels, at most."""
    pixels, most = height * width * max(1, -(-channels // 4)), most_pixels()
    if pixels > most:
        alike = f" of {channels} channels, as much as" if channels > 4 else " ="
        raise ValueError(
            f"it has {height} x {width}{alike} {pixels} pixels, more than the {most} that are allowed; "
            f"{VARIABLE}={pixels} in the environment allows them"
        )


@contextmanager
def open_picture(file: Path | BinaryIO) -> Iterator[ImageFile]:
    """A picture of which the header is read, and its size checked; it is closed at the end.

    Args:
        file: The file, or one that is open, which is read from its beginning.

    Raises:
        ValueError: It is larger than is allowed.
        OSError: There is no such file, it cannot be read, or it is of no format that is read.
    """
    with file.open("rb") if isinstance(file, Path) else nullcontext(file) as source:
        source.seek(0)
        kind = _kind(source.read(16))
        _check_bytes(source, kind)
        source.seek(0)
        with _opened(kind, source) as picture:
            check_pixels(picture.height, picture.width)
            yield picture


def _kind(start: bytes) -> Kind:
    """What opens a file that begins so."""
    for pattern, kind in FORMATS.items():
        if re.match(pattern, start, re.DOTALL):
            return kind
    raise UnidentifiedImageError("it is none of PNG, JPEG, TIFF, WebP, BMP and PPM, whatever its name")


def _opened(kind: Kind, source: BinaryIO) -> ImageFile:
    """The picture in a file, whose header is read."""
    if Image.MAX_IMAGE_PIXELS is not None:  # Pillow asks for itself, of some formats when it decodes them
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, most_pixels())
    try:
        return kind(source)
    except SyntaxError as error:  # Pillow's for a header that it cannot read
        raise UnidentifiedImageError(f"its header cannot be read: {error}") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"{error} ({VARIABLE})") from None


def _check_bytes(source: BinaryIO, kind: Kind) -> None:
    """Raises ValueError if a file is larger than any image in it, of 8 bytes a pixel; TIFFs hold many."""
    size, most = source.seek(0, os.SEEK_END), 8 * most_pixels() + REST
    if size > most and kind is not TiffImageFile:
        raise ValueError(f"it has {size} bytes, more than {most_pixels()} pixels take ({VARIABLE})")
