"""Images in folders."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from lightning_inv.data.base import ImageDataModule, ImageDataset

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
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith(("I", "F")):
                image = _eight_bits(image)
            image = image.convert("L" if channels == 1 else "RGB")
            if size is not None and image.size != size[::-1]:
                image = ImageOps.fit(image, size[::-1], Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}.") from None
    pixels = torch.from_numpy(np.array(image, dtype=np.float32) / 127.5 - 1)
    return pixels[None] if channels == 1 else pixels.permute(2, 0, 1).contiguous()


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
        sizes = [file.stat().st_size for file in self.files]
        return [list(self.names), sizes, self.channels, self.size, self.key]


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


class ImageFolder(ImageDataModule):
    """The images of a folder and of all folders in it.

    Each image belongs to "val" or "train" by a hash of its path, so that the split stays as it is when
    images are added. The split "all" holds both.

    Args:
        root: The folder.
        size: Height and width in pixels, or one number for both: images are scaled to cover it and cut in
            the middle.
        channels: 1 for grey, 3 for RGB.
        val_fraction: The share of images, about, that is held out for validation.
        verify: Decode every image once before any work.
        skip_broken: Leave out images that cannot be decoded, instead of stopping at the first.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that load images.
        split: The split that ``infer.py`` reads.
        limit: Read only the first so many images of ``split``; all of them if None.
        flip: Mirror training images left to right with probability 1/2.
        seed: The order and the flips of training images follow from it.
    """

    splits = ("all", "train", "val")

    def __init__(  # noqa: PLR0913 (each is one choice of the user)
        self,
        root: str,
        size: int | tuple[int, int],
        channels: int = 3,
        val_fraction: float = 0.05,
        verify: bool = True,
        skip_broken: bool = False,
        batch_size: int = 16,
        num_workers: int = 0,
        split: str = "all",
        limit: int | None = None,
        flip: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, num_workers, split, limit, flip, seed)
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        if min(self.size) < 1:
            raise ValueError(f"data.size must be positive, got {size}.")
        if not 0 <= val_fraction < 1:
            raise ValueError(f"data.val_fraction must be in [0, 1), got {val_fraction}.")
        check_channels(channels)
        self.root, self.channels, self.val_fraction = Path(root).expanduser(), channels, val_fraction
        self.verify, self.skip_broken = verify or skip_broken, skip_broken

    @cached_property
    def files(self) -> list[Path]:
        """All files, without those to be skipped."""
        files = find_images(self.root)
        bad = broken(files, self.channels) if self.verify else {}
        if bad and not self.skip_broken:
            raise ValueError(
                f"{next(iter(bad.values()))} ({len(bad)} of {len(files)} images are broken; "
                "data.skip_broken leaves them out.)"
            )
        return [file for file in files if file not in bad]

    def setup(self, stage: str) -> None:
        if not self.files:
            raise ValueError(f"every image in {self.root} is broken.")

    def dataset(self, split: str) -> ImageDataset:
        names = image_names(self.root, self.files)
        pairs = [
            (file, name)
            for file, name in zip(self.files, names, strict=True)
            if split == "all"
            or (hash_fraction(stem(self.root, file)) < self.val_fraction) == (split == "val")
        ]
        return FolderDataset(
            [file for file, _ in pairs], [name for _, name in pairs], self.channels, self.size
        )


def hash_fraction(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64


class _Measured(ImageDataset):
    """Measurements, and the truth of each where it is known."""

    def __init__(self, measurements: FolderDataset, truth: FolderDataset | None) -> None:
        self.measurements, self.truth, self.names = measurements, truth, measurements.names

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.measurements[index]
        return item if self.truth is None else {**item, "image": self.truth[index]["image"]}

    def fingerprint(self) -> list[Any]:
        return [self.measurements.fingerprint(), self.truth.fingerprint() if self.truth else None]


class MeasurementFolder(ImageDataModule):
    """A folder of degraded images, which are restored as they are.

    Args:
        root: The folder of degraded images, as the operator would make them: for inpainting of the size of
            the prior, for super-resolution smaller.
        truth: A folder of the true images, of the same names, if they are known.
        channels: The channels of the degraded images, 1 for grey, 3 for RGB.
        truth_channels: The channels of the true images; those of the degraded ones if None.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that load images.
        limit: Read only the first so many images; all of them if None.
    """

    splits = ("all",)

    def __init__(
        self,
        root: str,
        truth: str | None = None,
        channels: int = 3,
        truth_channels: int | None = None,
        batch_size: int = 16,
        num_workers: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, "all", limit)
        self.root, self.truth = Path(root).expanduser(), Path(truth).expanduser() if truth else None
        self.channels, self.truth_channels = channels, truth_channels or channels
        check_channels(self.channels)
        check_channels(self.truth_channels)

    @cached_property
    def _all(self) -> ImageDataset:
        measurements = self._read(self.root, self.channels, "measurement")
        if self.truth is None:
            return _Measured(measurements, None)
        found = self._read(self.truth, self.truth_channels, "image")
        by_name = dict(zip(found.names, found.files, strict=True))
        if missing := [name for name in measurements.names if name not in by_name]:
            raise ValueError(
                f"there is no true image {missing[0]!r} in {self.truth} ({len(missing)} are missing)."
            )
        files = [by_name[name] for name in measurements.names]
        return _Measured(measurements, FolderDataset(files, measurements.names, self.truth_channels, None))

    @staticmethod
    def _read(root: Path, channels: int, key: Literal["image", "measurement"]) -> FolderDataset:
        files = find_images(root)
        for why in broken(files, channels).values():
            raise ValueError(why)
        first = image_size(files[0])
        for file in files:
            if image_size(file) != first:
                raise ValueError(
                    f"images to be restored must be of one size: {files[0]} has {first[0]} x {first[1]} "
                    f"pixels, {file} has {image_size(file)[0]} x {image_size(file)[1]}."
                )
        return FolderDataset(files, image_names(root, files), channels, None, key)

    def dataset(self, split: str) -> ImageDataset:
        return self._all
