"""What Pillow leaves undone with a PNG.

Of 16 bits a channel in colour it gives only 8, so that it is asked for each half. It decodes all pixels
before it tells how the picture is to be turned, since Exif may stand behind them.
"""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from lightning_inv.data.contents import FileContents, opened, readable
from lightning_inv.data.values import ORIENTATION, Numbers
from lightning_inv.opening import REST, open_picture

TOLD = (b"IHDR", b"eXIf", b"tEXt", b"zTXt", b"iTXt")
"""What tells how a picture is to be turned: Exif, which some programs write as text."""
END = b"\0\0\0\0IEND\xaeB`\x82"


def orientation_of(path: Path | FileContents) -> int:
    """How a PNG is to be turned, as in Exif; its pixels are passed over."""
    with open_picture(io.BytesIO(_without_pixels(path))) as image:
        return Image.Image.getexif(image).get(ORIENTATION, 1)  # that of a PNG decodes


def _without_pixels(path: Path | FileContents) -> bytes:
    """The few parts of a PNG that may tell how it is to be turned."""
    with opened(path) as file:
        kept, room = [file.read(8)], REST
        while len(head := file.read(8)) == 8:
            size, name = struct.unpack(">I4s", head)
            if name not in TOLD:
                file.seek(size + 4, io.SEEK_CUR)
                continue
            room -= size
            if room < 0:
                raise ValueError(f"it has more than {REST} bytes of text")
            if len(rest := file.read(size + 4)) == size + 4:
                kept += [head, rest]
        return b"".join([*kept, END])


def read_png(path: Path | FileContents, kind: str, orientation: int) -> Numbers:
    """A PNG of 16 bits a channel, not grey alone."""
    if kind == "LA":
        halves = _bytes(path, "RGBA")  # four bytes a pixel: high and low ones in turn
        high, low = halves[..., ::2], halves[..., 1::2]
    else:
        high, low = _bytes(path, f"{kind};16B"), _bytes(path, f"{kind};16L")
    return Numbers(high * np.uint16(256) + low, -1, kind != "RGB", orientation)


def _bytes(path: Path | FileContents, unpacker: str) -> np.ndarray:
    """The bytes of a PNG that one of Pillow's unpackers gives, shape ``(H, W, C)``."""
    with open_picture(readable(path)) as file:
        file.tile = [(*file.tile[0][:3], unpacker)]
        return np.asarray(file).astype(np.uint16)
