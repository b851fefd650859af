"""Image files: found in folders, named, decoded."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from lightning_inv.data.base import ImageDataset

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})


def find_images(root: Path) -> list[Path]:
    """The image files below ``root``, sorted by their relative path.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}.")
    files = [
        p
        for p in root.rglob("*")
        if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()
    ]
    if not files:
        raise FileNotFoundError(f"no image ({', '.join(sorted(SUFFIXES))}) in {root} or below.")
    return sorted(files, key=lambda p: p.relative_to(root).as_posix())


def image_names(root: Path, files: Sequence[Path]) -> list[str]:
    """Relative paths without suffix; the suffix stays where two files differ in nothing else."""
    stems = [stem(root, file) for file in files]
    full = [file.relative_to(root).as_posix() for file in files]
    count = Counter([*stems, *full])
    return [s if count[s] == 1 else f for s, f in zip(stems, full, strict=True)]


def stem(root: Path, file: Path) -> str:
    """The relative path without suffix."""
    return file.relative_to(root).with_suffix("").as_posix()


def read_image(path: Path, channels: int, size: tuple[int, int] | None = None) -> Tensor:
    """Reads an image file, upright, grey or RGB, 8 or 16 bits a channel.

    Args:
        path: The file.
        channels: 1 for grey, 3 for RGB.
        size: Height and width in pixels: scaled to cover them, then cut in the middle. None leaves it as it
            is.

    Returns:
        Shape ``(channels, H, W)`` in [-1, 1].

    Raises:
        ValueError: The file cannot be decoded; the message names it.
    """
    image = open_image(path, channels)
    if size is not None and image.size != size[::-1]:
        image = ImageOps.fit(image, size[::-1], Image.Resampling.LANCZOS)
    return pixels(image)


def open_image(path: Path, channels: int) -> Image.Image:
    """An image file decoded, upright, grey or RGB, 8 bits a channel.

    Raises:
        ValueError: The file cannot be decoded; the message names it.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith(("I", "F")):
                image = _eight_bits(image)
            return image.convert("L" if channels == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}.") from None


def pixels(image: Image.Image) -> Tensor:
    """A grey or RGB picture of 8 bits, shape ``(C, H, W)`` in [-1, 1]."""
    values = torch.from_numpy(np.array(image, dtype=np.float32) / 127.5 - 1)
    return values[None] if values.ndim == 2 else values.permute(2, 0, 1).contiguous()


def _eight_bits(image: Image.Image) -> Image.Image:
    """A picture of 16 bits a pixel with 8; Pillow itself would clip them."""
    pixels = np.asarray(image, dtype=np.float64) / 257
    if image.mode == "F" or not 0 <= pixels.min() <= pixels.max() <= 255:
        raise ValueError(f"pixels of more than 16 bits (mode {image.mode}) have no known range")
    return Image.fromarray(pixels.round().astype(np.uint8))


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image file as ``read_image`` gives it; reads the header only."""
    with Image.open(path) as image:
        sideways = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        return image.size if sideways else image.size[::-1]


class FolderDataset(ImageDataset):
    """Image files as items.

    Args:
        files: The files.
        names: The name of each.
        channels: 1 for grey, 3 for RGB.
        size: Height and width in pixels; None leaves images as they are.
        key: What the images are: ``image`` or ``measurement``.
    """

    def __init__(
        self,
        files: Sequence[Path],
        names: Sequence[str],
        channels: int,
        size: tuple[int, int] | None,
        key: Literal["image", "measurement"] = "image",
    ) -> None:
        self.files, self.names, self.channels, self.size, self.key = files, names, channels, size, key

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = read_image(self.files[index], self.channels, self.size)
        return {self.key: image, "name": self.names[index], "index": index}

    def fingerprint(self) -> list[Any]:
        contents = [hashlib.sha256(file.read_bytes()).hexdigest() for file in self.files]
        return [list(self.names), contents, self.channels, self.size, self.key]


def broken(files: Sequence[Path], channels: int) -> dict[Path, str]:
    """The files that cannot be decoded, with the reason."""

    def reason(path: Path) -> str | None:
        try:
            read_image(path, channels)
        except ValueError as error:
            return str(error)
        return None

    with ThreadPoolExecutor() as pool:
        return {path: why for path, why in zip(files, pool.map(reason, files), strict=True) if why}


def check_channels(channels: int) -> None:
    """Raises ValueError unless images are to be grey or RGB."""
    if channels not in (1, 3):
        raise ValueError(f"data.channels must be 1 (grey) or 3 (RGB), got {channels}.")
