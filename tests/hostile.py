"""Image files that lie: headers of what is not there, chains without an end, tales of what is nowhere."""

import os
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile

from lightning_inv.data.contents import FileContents
from lightning_inv.data.image_files import image_size, read_image, refused
from lightning_inv.folders import look

HUGE = 20_000


def chunk(name: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(side: int, *more: bytes) -> bytes:
    """A grey PNG without pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg(side: int) -> bytes:
    """A grey JPEG that ends behind its header."""
    frame = struct.pack(">BHHBBBB", 8, side, side, 1, 1, 0x11, 0)
    scan = struct.pack(">BBBBBB", 1, 1, 0, 0, 63, 0)
    parts = ((0xC0, frame), (0xDA, scan))
    return b"\xff\xd8" + b"".join(struct.pack(">BBH", 0xFF, n, len(d) + 2) + d for n, d in parts)


def bmp(side: int) -> bytes:
    """A BMP without pixels."""
    told = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + told


def webp(side: int) -> bytes:
    """A WebP without pixels, of 16,383 x 16,383 at most: its format has no larger ones."""
    side = min(side, 16_383)
    bits = struct.pack("<BI", 0x2F, (side - 1) | (side - 1) << 14)
    body = b"WEBPVP8L" + struct.pack("<I", len(bits)) + bits + b"\0"
    return b"RIFF" + struct.pack("<I", len(body)) + body


def ppm(side: int) -> bytes:
    """A PPM without pixels."""
    return b"P6 %d %d 255\n" % (side, side)


def npy(side: int) -> bytes:
    """The header of an array."""
    told = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({side}, {side}), }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(told)) + told


def pages(count: int, last: int = 0, side: int = 4, samples: int = 1, bits: int = 8) -> bytes:
    """A TIFF of so many pages, all of the same few pixels; the last one tells where the next is."""
    size, head = 2 + 12 * 9 + 4, 8 + 256
    told = {256: side, 257: side, 258: bits, 259: 1, 262: 1, 273: 8, 277: samples, 278: side, 279: side**2}
    tags = b"".join(struct.pack("<HHII", *(tag, 4, 1, value)) for tag, value in told.items())
    nexts = [*(head + size * (k + 1) for k in range(count - 1)), last and head + size * (last - 1)]
    found = b"".join(struct.pack("<H", 9) + tags + struct.pack("<I", place) for place in nexts)
    return b"II*\0" + struct.pack("<I", head) + bytes(256) + found


def tiff(side: int) -> bytes:
    """A TIFF of 8 bits without pixels."""
    return pages(1, side=side)


def deep_tiff(side: int) -> bytes:
    """A TIFF of 32 bits, which Pillow does not read, without pixels."""
    return pages(1, side=side, bits=32, samples=1)


BOMBS: dict[str, Callable[[int], bytes]] = {
    "a.png": png,
    "a.jpg": jpeg,
    "a.bmp": bmp,
    "a.webp": webp,
    "a.ppm": ppm,
    "a.tif": tiff,
    "deep.tif": deep_tiff,
}
"""The names and the headers of images of any size."""


def described(path: Path, xml: str) -> Path:
    """A TIFF of one page of 8 x 8 numbers, which Pillow does not read, that describes itself."""
    tifffile.imwrite(path, np.zeros((8, 8), np.float16), description=xml, metadata=None)
    return path


def ome(planes: str = "", data: str = "", more: str = "") -> str:
    """A description of OME."""
    sizes = {"X": 8, "Y": 8, "Z": 1, "C": 1, "T": 1}
    told = " ".join(f'Size{axis}="{value}"' for axis, value in sizes.items() if f"Size{axis}" not in planes)
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'{more}<Image ID="Image:0"><Pixels DimensionOrder="XYZCT" Type="float" {told} {planes}>'
        f'<Channel SamplesPerPixel="1"/><TiffData {data}/></Pixels></Image></OME>'
    )


def verified(path: Path) -> None:
    """Raises what the data modules raise for a file that they refuse."""
    for refusal in refused([path], 1).values():
        raise ValueError(refusal.why)


WAYS: dict[str, Callable[[Path], object]] = {
    "header": image_size,
    "folder": lambda path: look(path.parent),
    "verify": verified,
    "decode": lambda path: read_image(path, 1),
    "contents": lambda path: read_image(FileContents(str(path), path.read_bytes()), 1),
}
"""All ways in which a file is looked at."""


each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@contextmanager
def frugal() -> Iterator[None]:
    """What is within takes less than five seconds and 100 MB of memory."""
    began = time.perf_counter()
    tracemalloc.start()
    yield
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1e8
    assert time.perf_counter() - began < 5


class Harm:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)
