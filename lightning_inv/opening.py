"""Image files are opened here alone: of the formats that are read, and no larger than is allowed.

Pillow knows many more formats and finds them by contents whatever a name says; for PostScript it starts
another program. Of each file only the header is read here, so that what is too large is never decoded.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from io import BytesIO
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

from lightning_inv.regular import open_regular

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
SCANS = 100
"""The scans of a JPEG, at most, each of which goes over all pixels; encoders write about ten."""
MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
"""What a part of a JPEG begins with; its length follows."""
HEADER = 2**16
"""The bytes of the header of a PPM, at most."""
COMMENTS = 1000
"""The comments among the numbers of a PPM, at most, for each of which up to a megabyte is copied."""


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
def refusing() -> Iterator[None]:
    """Makes a ValueError of whatever the libraries raise, which for a damaged file may be anything."""
    try:
        yield
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error


@contextmanager
def open_picture(file: Path | BinaryIO, header: bool = False) -> Iterator[ImageFile]:
    """A picture of which the header is read, and its size checked; it is closed at the end.

    Args:
        file: The file, or one that is open, which is read from its beginning.
        header: Whether nothing is going to be decoded, so that no more than the header is checked.

    Raises:
        ValueError: It is no regular file, larger than is allowed, or would take minutes to decode.
        OSError: There is no such file, it cannot be read, or it is of no format that is read.
    """
    with open_regular(file) if isinstance(file, Path) else nullcontext(file) as source:
        source.seek(0)
        kind = _kind(source.read(16))
        _check_bytes(source, kind)
        if kind is PpmImageFile:
            _check_header(source)
        source.seek(0)
        with _opened(kind, source) as picture:
            check_pixels(picture.height, picture.width)
            _check_bytes(source, kind, picture.height * picture.width)
            if not header:
                _check_work(source, picture)
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


def _check_bytes(source: BinaryIO, kind: Kind, pixels: int | None = None) -> None:
    """As ``check_bytes``; TIFFs hold many images, of which the first is looked for where it is."""
    place = source.tell()
    if kind is not TiffImageFile:
        check_bytes(source.seek(0, os.SEEK_END), pixels)
    source.seek(place)


def check_bytes(size: int, pixels: int | None = None) -> None:
    """Raises ValueError if a file of so many bytes is larger than its pixels, of 8 bytes each, make it.

    Args:
        size: The bytes.
        pixels: The pixels; as many as are allowed if None.
    """
    pixels = most_pixels() if pixels is None else pixels
    if size > 8 * pixels + REST:
        raise ValueError(f"it has {size} bytes, more than {pixels} pixels take ({VARIABLE})")


def _check_header(source: BinaryIO) -> None:
    """Raises ValueError if the header of a PPM is not among its first bytes; it may have comments."""
    source.seek(0)
    try:
        _opened(PpmImageFile, BytesIO(source.read(HEADER))).close()
    except ValueError as error:
        raise ValueError(f"its header cannot be read, of {HEADER} bytes at most: {error}") from None


def _check_work(source: BinaryIO, picture: ImageFile) -> None:
    """Raises ValueError if a file is made so that its pixels take minutes to decode."""
    place = source.tell()
    if picture.format in ("JPEG", "MPO"):
        source.seek(0)
        _check_scans(source.read())
    elif picture.tile and picture.tile[0][0] == "ppm_plain":
        source.seek(0)
        comments = sum(block.count(b"#") for block in iter(lambda: source.read(2**20), b""))
        if comments > COMMENTS:
            raise ValueError(f"it has {comments} comments, more than {COMMENTS}")
    source.seek(place)


def _check_scans(data: bytes) -> None:
    """Raises ValueError if a JPEG has more scans than encoders write; what follows its end is passed over."""
    place = 2 if data.count(b"\xff\xda") > SCANS else len(data)
    scans = 0
    while (found := MARKER.search(data, place)) and found[1] != b"\xd9":
        scans += found[1] == b"\xda"
        if scans > SCANS:
            raise ValueError(f"it has more than {SCANS} scans")
        place = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
