"""Pictures of every kind, good ones and broken ones."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

GREY = 51  # 51 / 127.5 - 1 = -0.6


def flat(mode: str, size: tuple[int, int] = (6, 4)) -> Image.Image:
    """A picture of one grey, ``size`` being width and height."""
    if mode == "I;16":
        return Image.fromarray(np.full(size[::-1], GREY * 257, dtype=np.uint16))
    if mode == "P":
        return flat("RGB", size).convert("P", palette=Image.Palette.ADAPTIVE)
    value = {"L": GREY, "LA": (GREY, 255), "RGB": (GREY,) * 3, "RGBA": (GREY, GREY, GREY, 255)}
    return Image.new(mode, size, value[mode])


def ramp(height: int, width: int) -> Image.Image:
    """A grey picture in which every pixel differs."""
    return Image.fromarray(np.arange(height * width, dtype=np.uint8).reshape(height, width))


def numbers(channels: int, size: tuple[int, int] = (7, 11)) -> np.ndarray:
    """Numbers in [0, 1], shape ``(C, H, W)``."""
    return np.random.default_rng(channels).random((channels, *size))


def noise_pictures(folder: Path, count: int = 3) -> str:
    """A folder of small colour pictures of noise."""
    for i in range(count):
        noise = np.random.default_rng(i).integers(0, 256, (40, 48, 3), np.uint8)
        write(folder / f"{i}.png", Image.fromarray(noise))
    return str(folder)


def write(path: Path, picture: Image.Image | None = None, **settings: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture or flat("L")).save(path, **settings)
    return path


def save(path: Path, values: np.ndarray, kind: str = "float32") -> Path:
    """Writes numbers in [0, 1], shape ``(C, H, W)``, as a PNG, a TIFF or an array of this kind of number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    most = np.iinfo(kind).max if kind.startswith("uint") else 1
    last = np.moveaxis(values * most, 0, -1)
    stored = (last.round() if most > 1 else last).astype(kind)
    stored = stored[..., 0] if len(values) == 1 else stored
    if path.suffix == ".npy":
        np.save(path, stored)
    elif path.suffix == ".tif":
        light = "rgb" if len(values) == 3 else "minisblack"
        tifffile.imwrite(path, stored, photometric=light, planarconfig="contig" if stored.ndim == 3 else None)
    elif kind == "uint8":
        Image.fromarray(stored).save(path)
    else:
        path.write_bytes(png_of_16_bits(stored.reshape(*last.shape)))
    return path


def png_of_16_bits(stored: np.ndarray) -> bytes:
    """A PNG, which Pillow cannot write, of shape ``(H, W, C)``: grey, grey and opacity, RGB or RGBA."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    H, W, C = stored.shape
    header = struct.pack(">IIBBBBB", W, H, 16, {1: 0, 2: 4, 3: 2, 4: 6}[C], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(name, data)
        for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


def truncated(path: Path) -> Path:
    write(path, ramp(16, 16))
    path.write_bytes(path.read_bytes()[:-60])
    return path


def text(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("no image at all")
    return path


def empty(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


BROKEN = [truncated, text, empty]
MODES = ["L", "LA", "RGB", "RGBA", "P", "I;16"]
