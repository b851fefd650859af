"""The strips and tiles of a TIFF, checked before they are decoded.

Where imagecodecs is not installed, tifffile decodes with what Python has, which inflates without an end;
where it is, each strip may be a picture of another size.
"""

import lzma
import math
import zlib
from io import BytesIO

from tifffile import COMPRESSION, TIFF, TiffFrame, TiffPage

from lightning_inv.opening import REST, open_picture

BEGIN = {
    **dict.fromkeys((8, 32946, 50013), zlib.decompressobj),
    34925: lzma.LZMADecompressor,
}
"""What inflates, by the number of a compression."""
PACKBITS = 32773
UNCOMPRESSED = frozenset({1})
BOUNDED = frozenset({*UNCOMPRESSED, *BEGIN, PACKBITS, 2, 3, 4, 5, 34926, 50000})
"""Of these imagecodecs makes no more than it is told: those above, CCITT, LZW and Zstandard."""
PICTURES = frozenset({6, 7, 33007, 34892, 34933, 34927, 50001})
"""JPEG, PNG and WebP, which imagecodecs decodes at the size that they tell, whatever the TIFF does."""
TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Each byte with its bits in reverse order."""


def check_tiles(page: TiffPage) -> None:
    """Raises ValueError if the tiles of a page, which are decoded whole, have many more numbers than it."""
    numbers = math.prod(page.chunked) * math.prod(page.chunks)
    if numbers > 8 * page.size + REST:
        raise ValueError(f"its tiles have {numbers} numbers, but it has {page.size}")


def check_inflated(page: TiffPage | TiffFrame) -> None:
    """Raises ValueError if a strip or tile would be decoded to much more than its numbers."""
    told = page.keyframe
    decoder = TIFF.DECOMPRESSORS.get(told.compression)
    own = getattr(decoder, "__module__", "").startswith("tifffile")
    if decoder is None or told.dtype is None or told.compression in (UNCOMPRESSED if own else BOUNDED):
        return  # without a decoder, tifffile says so
    if told.compression not in ({*BEGIN, PACKBITS} if own else PICTURES):
        raise ValueError(f"its compression, {COMPRESSION(told.compression).name}, is not supported")
    for data, _ in page.parent.filehandle.read_segments(page.dataoffsets, page.databytecounts):
        if data:
            _check_segment(data, told)


def _check_segment(data: bytes, told: TiffPage) -> None:
    """Raises ValueError if a strip or tile would be decoded to much more than its numbers."""
    numbers = math.prod(told.chunks)
    if told.compression in PICTURES:
        with open_picture(BytesIO((told.jpegheader or b"") + data)) as picture:
            if picture.width * picture.height > 2 * numbers + 2**16:
                raise ValueError(f"a strip or tile of it has {picture.height} x {picture.width} pixels")
        return
    bits, most = data.translate(TURNED if told.fillorder == 2 else None), numbers * told.dtype.itemsize
    if _exceeds(bits, told.compression, 2 * most + 1024):  # rows beyond the image, at most
        raise ValueError(f"a strip or tile of it inflates to more than its {most} bytes")


def _exceeds(data: bytes, compression: int, most: int) -> bool:
    """Whether data inflate to more bytes than that; no more are inflated."""
    if compression == PACKBITS:
        return _unpacked(data, most) > most
    while data and most >= 0:  # several streams of LZMA may follow each other
        stream = BEGIN[compression]()
        most -= len(stream.decompress(data, most + 1))
        data = stream.unused_data if compression == 34925 else b""
    return most < 0


def _unpacked(data: bytes, most: int) -> int:
    """The bytes that PackBits give, counted until they are more than that."""
    place = size = 0
    while place < len(data) and size <= most:
        count = data[place]  # above 128, the next byte comes 257 - count times; 128 says nothing
        size += count + 1 if count < 128 else (257 - count) % 129
        place += count + 2 if count < 128 else 1 + (count > 128)
    return size
