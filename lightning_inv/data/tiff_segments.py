"""The strips and tiles of a TIFF, checked before they are decoded.

Where imagecodecs is not installed, tifffile decodes with what Python has, which inflates without an end.
"""

import lzma
import math
import zlib

from tifffile import COMPRESSION, TIFF, TiffFrame, TiffPage

from lightning_inv.opening import REST

BEGIN = {
    **dict.fromkeys((8, 32946, 50013), zlib.decompressobj),
    34925: lzma.LZMADecompressor,
}
"""What inflates, by the number of a compression."""
PACKBITS = 32773
TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Each byte with its bits in reverse order."""


def check_tiles(page: TiffPage) -> None:
    """Raises ValueError if the tiles of a page, which are decoded whole, have many more numbers than it."""
    numbers = math.prod(page.chunked) * math.prod(page.chunks)
    if numbers > 8 * page.size + REST:
        raise ValueError(f"its tiles have {numbers} numbers, but it has {page.size}")


def check_inflated(page: TiffPage | TiffFrame) -> None:
    """Raises ValueError if a strip or tile that tifffile itself inflates has more bytes than its numbers."""
    told = page.keyframe
    decoder = TIFF.DECOMPRESSORS.get(told.compression)
    own = getattr(decoder, "__module__", "").startswith("tifffile")
    if told.compression == 1 or told.dtype is None or not own:
        return
    if told.compression not in {*BEGIN, PACKBITS}:
        name = COMPRESSION(told.compression).name
        raise ValueError(f"its compression, {name}, is read where imagecodecs is installed")
    most = math.prod(told.chunks) * told.dtype.itemsize
    for data, _ in page.parent.filehandle.read_segments(page.dataoffsets, page.databytecounts):
        bits = (data or b"").translate(TURNED if told.fillorder == 2 else None)
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
