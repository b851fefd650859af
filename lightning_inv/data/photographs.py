"""Photographs at their own size."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from lightning_inv.data.base import ImageDataModule
from lightning_inv.data.dataset import ImageDataset, Shapes
from lightning_inv.data.image_files import (
    FolderDataset,
    both_sides,
    check_channels,
    check_range,
    find_images,
    image_names,
    refused,
)
from lightning_inv.files import ASSETS


class _Cut(ImageDataset):
    """Photographs cut in the middle so that a number divides their sides.

    Args:
        whole: The photographs.
        multiple: The number.
    """

    def __init__(self, whole: FolderDataset, multiple: int) -> None:
        self.whole, self.multiple, self.names = whole, multiple, whole.names

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.whole[index]
        _, H, W = item["image"].shape
        _, h, w = self.shapes(index)["image"]
        top, left = (H - h) // 2, (W - w) // 2
        return {**item, "image": item["image"][:, top : top + h, left : left + w]}

    def shapes(self, index: int) -> Shapes:
        C, H, W = self.whole.shapes(index)["image"]
        if min(H, W) < self.multiple:
            raise ValueError(
                f"{self.whole.files[index]} has {H} x {W} pixels, fewer than data.multiple={self.multiple}."
            )
        return {"image": (C, H - H % self.multiple, W - W % self.multiple)}

    def sources(self) -> Sequence[Path]:
        return self.whole.sources()

    def fingerprint(self) -> list[Any]:
        return [self.whole.fingerprint(), self.multiple]


class Photographs(ImageDataModule):
    """Photographs of one's own, one or a folder of them, or those that ship with the package.

    They stay at their own size, for priors of images of any size; nothing is scaled unless ``size`` says so.
    Pixels at the border are cut off where ``multiple`` does not divide a side. Photographs of one size share
    a batch.

    Args:
        path: A file, or a folder and all folders in it; None for the four that ship with the package.
        size: Height and width in pixels, or one number for both: photographs are scaled to cover it and cut
            in the middle. None leaves them at their own size.
        channels: 1 for grey, 3 for RGB.
        multiple: What divides both sides, as the factor of super-resolution must.
        batch_size: Photographs in a batch, on each device.
        num_workers: Processes that load photographs.
        limit: Read only the first so many; all of them if None.
        value_range: The numbers in the files that are black and white; None for the whole range of integers
            of 8 or 16 bits, and 0 to 1 for floats.
        shard: The part ``i/n`` of them that ``infer.py`` restores, i from 0 to n - 1; all of them if None.

    Raises:
        ValueError: A number is out of its range.
    """

    splits = ("all",)

    def __init__(  # noqa: PLR0913 (each is one choice of the user)
        self,
        path: str | None = None,
        size: int | tuple[int, int] | None = None,
        channels: int = 3,
        multiple: int = 4,
        batch_size: int = 1,
        num_workers: int = 0,
        limit: int | None = None,
        value_range: tuple[float, float] | None = None,
        shard: str | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, "all", limit, shard=shard)
        self.size = None if size is None else both_sides(size)
        if multiple < 1:
            raise ValueError(f"data.multiple must be at least 1, got {multiple}.")
        check_channels(channels)
        check_range(value_range)
        self.path = ASSETS / "photographs_test" if path is None else Path(path).expanduser()
        self.channels, self.multiple, self.value_range = channels, multiple, value_range

    @cached_property
    def _all(self) -> ImageDataset:
        if not (self.path.is_dir() or self.path.is_file()):  # a pipe is neither
            raise FileNotFoundError(f"there is no photograph, and no folder of them, at {self.path}.")
        root = self.path if self.path.is_dir() else self.path.parent
        files = find_images(root) if self.path.is_dir() else [self.path]
        for refusal in refused(files, self.channels, self.value_range).values():
            raise ValueError(refusal.why)
        names = image_names(root, files)
        whole = FolderDataset(files, names, self.channels, self.size, value_range=self.value_range)
        return _Cut(whole, self.multiple)

    def dataset(self, split: str) -> ImageDataset:
        return self._all
