"""PNGs of 16 bits a channel in colour, of which Pillow gives only 8, so that it is asked for each half."""

from pathlib import Path

import numpy as np
from PIL import Image

from lightning_inv.data.values import Numbers


def read_png(path: Path, kind: str, orientation: int) -> Numbers:
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
