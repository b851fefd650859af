"""Image files: found in folders, named, read."""

import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch.distributed as dist
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_inv.data.contents import FileContents
from lightning_inv.data.dataset import ImageDataset, Shapes
from lightning_inv.data.decoding import check_length, decode, image_shape, verify
from lightning_inv.data.picture import Picture
from lightning_inv.data.values import Misfit
from lightning_inv.files import file_digest
from lightning_inv.traces import is_locked, is_run

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".npy"})

CONTENTS = 10_000
"""Files, at most, of a set whose contents are looked at to tell it from others; names are, of all."""


def find_images(root: Path) -> list[Path]:
    """The image files below ``root``, sorted by their relative path.

    Folders below it that runs write to are left out, with all in them: pictures of results come and go.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        ValueError: A run writes to the folder itself.
    """
    if is_locked(root):
        raise ValueError(
            f"a run writes to {root}, or one that was killed has left its .lock there: results would be "
            "taken for images. Give --folder or data.root another name, or remove that file."
        )
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}.")
    left: list[str] = []
    named = (
        Path(folder, name)
        for folder, names in _folders(root, left)
        for name in names
        if not name.startswith(".") and name[name.rfind(".") :].lower() in SUFFIXES
    )
    files = [file for file in named if file.is_file()]
    others = f"; {len(left)} folders that runs write to, such as {left[0]!r}, are left out" if left else ""
    if not files:
        raise FileNotFoundError(f"no image ({', '.join(sorted(SUFFIXES))}) in {root} or below{others}.")
    if others:
        rank_zero_warn(f"{len(files)} images in {root}{others}.")
    return sorted(files, key=Path.as_posix)


def _folders(root: Path, left: list[str]) -> Iterator[tuple[str, list[str]]]:
    """All folders with the files in each, but for those of runs below ``root``, which ``left`` learns."""
    for folder, folders, names in os.walk(root):
        if folder != str(root) and is_run(folder, names):
            folders.clear()
            left.append(folder)
        else:
            yield folder, names


def image_names(root: Path, files: Sequence[Path]) -> list[str]:
    """Relative paths without suffix; the suffix stays where two files differ in nothing else."""
    stems = [stem(root, file) for file in files]
    full = [file.relative_to(root).as_posix() for file in files]
    count = Counter([*stems, *full])
    return [s if count[s] == 1 else f for s, f in zip(stems, full, strict=True)]


def stem(root: Path, file: Path) -> str:
    """The relative path without suffix."""
    return file.relative_to(root).with_suffix("").as_posix()


def read_image(
    path: Path | FileContents,
    channels: int,
    size: tuple[int, int] | None = None,
    value_range: tuple[float, float] | None = None,
) -> Tensor:
    """Reads an image file, upright, with all of its bits, over white where it is transparent.

    Args:
        path: The file, or what it holds.
        channels: 1 for grey, 3 for RGB, which become each other; any other number must be that of the file,
            where the opacity counts as a channel.
        size: Height and width in pixels: scaled to cover them, then cut in the middle. None leaves it as it
            is.
        value_range: The numbers of the file that are black and white. None takes the whole range of integers
            of 8 or 16 bits, and [0, 1] for floats.

    Returns:
        Shape ``(channels, H, W)`` in [-1, 1].

    Raises:
        ValueError: The file cannot be decoded, has other channels or numbers beyond the range; the message
            names it.
    """
    picture = open_image(path, channels, value_range)
    return (picture if size is None else picture.fit(size[::-1])).pixels()


def open_image(
    path: Path | FileContents,
    channels: int,
    value_range: tuple[float, float] | None = None,
    least: int | None = None,
) -> Picture:
    """An image file decoded, as in ``read_image``, not yet a tensor.

    Args:
        path: The file.
        channels: As in ``read_image``.
        value_range: As in ``read_image``.
        least: The pixels that the shorter side must keep, which saves time with large JPEGs; None keeps all.

    Raises:
        ValueError: As in ``read_image``.
    """
    with _naming(path):
        return decode(path, channels, value_range, least)


@contextmanager
def _naming(path: Path | FileContents) -> Iterator[None]:
    """Names the file in errors."""
    try:
        yield
    except ValueError as error:
        why = f"{path} cannot be read as an image: {error}."
        raise (Misfit(why, error.setting) if isinstance(error, Misfit) else ValueError(why)) from None


def image_size(path: Path, channels: int | None = None) -> tuple[int, int]:
    """Height and width of an image file as ``read_image`` gives it; reads the header only."""
    with _naming(path):
        return image_shape(path, channels)[1:]


class FolderDataset(ImageDataset):
    """Image files as items.

    Args:
        files: The files.
        names: The name of each.
        channels: As in ``read_image``.
        size: Height and width in pixels; None leaves images as they are, and holds them to the size that
            ``shapes`` has told.
        key: What the images are: ``image`` or ``measurement``.
        value_range: As in ``read_image``.
    """

    def __init__(
        self,
        files: Sequence[Path],
        names: Sequence[str],
        channels: int,
        size: tuple[int, int] | None,
        key: Literal["image", "measurement"] = "image",
        value_range: tuple[float, float] | None = None,
    ) -> None:
        self.files, self.names, self.channels, self.size, self.key = files, names, channels, size, key
        self.value_range = value_range
        self._sizes: dict[int, tuple[int, int]] = {}

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = read_image(self.files[index], self.channels, self.size, self.value_range)
        if (told := self._sizes.get(index, image.shape[1:])) != image.shape[1:]:
            raise ValueError(
                f"{self.files[index]} has changed while it was in use: it has {image.shape[1]} x "
                f"{image.shape[2]} pixels, but had {told[0]} x {told[1]}."
            )
        return {self.key: image, "name": self.names[index], "index": index}

    def shapes(self, index: int) -> Shapes:
        if self.size is None and index not in self._sizes:
            self._sizes[index] = image_size(self.files[index], self.channels)
        return {self.key: (self.channels, *(self.size or self._sizes[index]))}

    def sources(self) -> Sequence[Path]:
        return self.files

    def fingerprint(self) -> list[Any]:
        step = max(1, -(-len(self.files) // CONTENTS))
        contents = [_digest(file) for file in self.files[::step]]
        return [list(self.names), contents, self.channels, self.size, self.key, self.value_range]


def _digest(path: Path) -> str:
    """A hash of what an image file holds."""
    with _naming(path):
        check_length(path)
    return file_digest(path)


class Refusal(NamedTuple):
    """Why a file is refused.

    Args:
        why: The reason; it names the file.
        setting: The setting that the file does not fit; None if it is broken.
    """

    why: str
    setting: str | None = None


def refused(
    files: Sequence[Path], channels: int, value_range: tuple[float, float] | None = None
) -> dict[Path, Refusal]:
    """The files that ``read_image`` refuses; each is decoded in full.

    Warns where the integers of 16 bits of all files stay so low that they are likely to have fewer bits.
    """

    def look(path: Path) -> Refusal | int | None:
        try:
            with _naming(path):
                return verify(path, channels, value_range)
        except ValueError as error:
            return Refusal(str(error), error.setting if isinstance(error, Misfit) else None)

    size = min(64, 1 + len(files) // 256)  # to hand over a small file takes as long as to decode it
    parts = [files[start : start + size] for start in range(0, len(files), size)]
    with ThreadPoolExecutor() as pool:
        looked = pool.map(lambda part: [look(path) for path in part], parts)
        found = dict(zip(files, chain.from_iterable(looked), strict=True))
    highest = {path: most for path, most in found.items() if isinstance(most, int)}
    if highest and value_range is None:
        _warn_of_few_bits(max(highest, key=highest.get), max(highest.values()))
    return {path: refusal for path, refusal in found.items() if isinstance(refusal, Refusal)}


def refused_by_ranks(
    files: Sequence[Path], channels: int, value_range: tuple[float, float] | None = None
) -> dict[Path, Refusal]:
    """As ``refused``, each rank its share; all must ask for it."""
    if not (dist.is_available() and dist.is_initialized()):
        return refused(files, channels, value_range)
    rank, ranks = dist.get_rank(), dist.get_world_size()
    shares: list[dict[Path, Refusal]] = [{}] * ranks
    dist.all_gather_object(shares, refused(files[rank::ranks], channels, value_range))
    found = {path: refusal for share in shares for path, refusal in share.items()}
    return {path: found[path] for path in files if path in found}


def _warn_of_few_bits(path: Path, most: int) -> None:
    """Warns if the highest of all integers of 16 bits, which is in this file, is below a quarter of them."""
    if 0 < most < 2**14:
        white = 2 ** next(bits for bits in (8, 10, 12, 14) if most < 2**bits) - 1
        rank_zero_warn(
            f"images of 16 bits reach only to {most} of 65535, in {path}, so that all of them are "
            f"dark; if {white} is white, --data.value_range [0,{white}] says so."
        )


def both_sides(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width, given them or one number for both; raises ValueError unless they are positive."""
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if min(sides) < 1:
        raise ValueError(f"data.size must be positive, got {size}.")
    return sides


def check_fraction(val_fraction: float) -> None:
    """Raises ValueError unless some images are left to train on."""
    if not 0 <= val_fraction < 1:
        raise ValueError(f"data.val_fraction must be in [0, 1), got {val_fraction}.")


def check_channels(channels: int) -> None:
    """Raises ValueError unless there is a channel."""
    if channels < 1:
        raise ValueError(f"data.channels must be at least 1 (1 is grey, 3 is RGB), got {channels}.")


def check_range(value_range: tuple[float, float] | None) -> None:
    """Raises ValueError unless there are two growing numbers, or none."""
    if value_range is not None and not -math.inf < value_range[0] < value_range[1] < math.inf:
        raise ValueError(f"data.value_range must be two growing numbers, got {list(value_range)}.")
