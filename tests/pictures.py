"""Pictures of every kind, good ones and broken ones."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

GREY = 51  # 51 / 127.5 - 1 = -0.6


def flat(mode: str, size: tuple[int, int] = (6, 4)) -> Image.Image:
    """A picture of one grey, ``size`` being width and height."""
    if mode == "I;16":
        return Image.fromarray(np.full(size[::-1], GREY * 257, dtype=np.uint16))
    if mode == "P":
        return flat("RGB", size).convert("P", palette=Image.Palette.ADAPTIVE)
    value = {"L": GREY, "LA": (GREY, 128), "RGB": (GREY,) * 3, "RGBA": (GREY, GREY, GREY, 128)}
    return Image.new(mode, size, value[mode])


def ramp(height: int, width: int) -> Image.Image:
    """A grey picture in which every pixel differs."""
    return Image.fromarray(np.arange(height * width, dtype=np.uint8).reshape(height, width))


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
