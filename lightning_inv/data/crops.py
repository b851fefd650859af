"""Random crops of pictures, to train a prior that restores images of any size."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, get_worker_info

from lightning_inv.data.crop_sampler import Crop, CropSampler
from lightning_inv.data.dataset import ImageDataset
from lightning_inv.data.folder import ImageFolder
from lightning_inv.data.image_files import open_image
from lightning_inv.data.picture import Picture
from lightning_inv.noise import generator

MEMORY = 2**31
"""Bytes of pictures that one machine holds in memory; others are decoded again for each crop."""


class Pictures:
    """Pictures of a folder, scaled so that the shorter side is at most ``shorter``, held while there is room.

    Args:
        files: The files.
        channels: Their channels.
        shorter: The most pixels of the shorter side.
        value_range: The numbers that are black and white, as in ``read_image``.
        memory: The bytes that may be held; the workers of a loader have equal parts of them, since each holds
            pictures of its own.
    """

    def __init__(
        self,
        files: Sequence[Path],
        channels: int,
        shorter: int,
        value_range: tuple[float, float] | None = None,
        memory: int = MEMORY,
    ) -> None:
        self.files, self.channels, self.shorter, self.value_range = files, channels, shorter, value_range
        self.memory, self.taken = memory, 0
        self.held: dict[int, Picture] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Picture:
        if index in self.held:
            return self.held[index]
        picture = open_image(self.files[index], self.channels, self.value_range, self.shorter)
        scale = self.shorter / min(picture.size)
        if scale < 1:
            size = [max(round(scale * side), self.shorter) for side in picture.size]
            picture = picture.resize(size)
        if self.taken + picture.memory <= self.memory // _workers():
            self.held[index], self.taken = picture, self.taken + picture.memory
        return picture


def _workers() -> int:
    """The processes that do the work of this one, each in its own memory."""
    info = get_worker_info()
    return 1 if info is None else info.num_workers


class CropDataset(ImageDataset):
    """Crops by number: picture, scale, place and mirroring follow from the seed and the number.

    Args:
        pictures: The pictures.
        names: The name of each.
        shorter: The least and the most pixels that the shorter side of a picture is scaled to, before a crop
            is taken; no picture is enlarged, unless it is smaller than the crop.
        seed: Crops follow from it.
        flip: Mirror left to right with probability 1/2.
        turn: Mirror along a diagonal with probability 1/2, and upside down likewise.
    """

    def __init__(
        self,
        pictures: Pictures,
        names: Sequence[str],
        shorter: tuple[int, int],
        seed: int,
        flip: bool,
        turn: bool = False,
    ) -> None:
        self.pictures, self.names, self.shorter = pictures, names, shorter
        self.seed, self.flip, self.turn = seed, flip, turn

    def __getitem__(self, crop: Crop | int) -> dict[str, Any]:
        number, side = crop if isinstance(crop, Crop) else (crop, self.shorter[0])
        rng = generator(self.seed, number, "crop")
        index = int(torch.randint(len(self.pictures), (), generator=rng))
        scale, left, top, mirror, upside, diagonal = torch.rand(6, generator=rng).tolist()
        picture = self.pictures[index]
        box = crop_box(picture.size, self.shorter, side, scale, left, top)
        image = picture.resize((side, side), box).pixels()
        if self.flip and mirror < 0.5:
            image = image.flip(-1)
        if self.turn and upside < 0.5:
            image = image.flip(-2)
        if self.turn and diagonal < 0.5:
            image = image.mT.contiguous()
        return {"image": image, "name": self.names[index], "index": number, "number": number}

    def fingerprint(self) -> Any:
        return [list(self.names), list(self.shorter), self.seed, self.flip, self.turn]


def crop_box(
    size: tuple[int, int], shorter: tuple[int, int], side: int, scale: float, left: float, top: float
) -> tuple[float, float, float, float]:
    """The box of a picture that becomes a crop: left, upper, right, lower.

    Args:
        size: Width and height of the picture.
        shorter: The least and the most pixels that its shorter side is scaled to.
        side: The pixels of the crop.
        scale: In [0, 1); the logarithm of the scaled side is uniform in it.
        left: In [0, 1); where the box begins.
        top: In [0, 1); where the box begins.
    """
    W, H = size
    low, high = max(min(shorter), side), max(min(max(shorter), W, H), side)
    low = min(low, high)
    wanted = math.exp(math.log(low) + scale * (math.log(high) - math.log(low)))
    extent = min(side * min(W, H) / wanted, W, H)
    x, y = left * (W - extent), top * (H - extent)
    return x, y, x + extent, y + extent


class ImageCrops(ImageFolder):
    """Random crops of the pictures of a folder, at random scales, to train a prior of any size.

    A crop shows a picture whose shorter side was scaled to a random number of pixels, so that crops look like
    pieces of photographs of many sizes. Which crops are drawn is a function of the seed and their numbers.
    Validation looks at ``val_crops`` crops of the pictures that are held out, always the same ones.

    Args:
        root: The folder.
        size: The side, in pixels, of crops for validation, and of what ``infer.py`` reads.
        sides: The sides of training crops, each as likely as the others; ``size`` alone if None.
        shorter: The least and the most pixels that the shorter side of a picture is scaled to.
        val_crops: Crops for validation.
        pass_batches: The batches of what Lightning calls an epoch.
        turn: Mirror training crops along a diagonal and upside down, too.
        channels: 1 for grey, 3 for RGB, which become each other; any other number must be that of the files.
        val_fraction: The share of pictures, about, that is held out for validation; at least one is, unless
            it is 0.
        verify: Decode every picture once before any work.
        skip_broken: Leave out pictures that cannot be decoded, instead of stopping at the first.
        batch_size: Crops in a batch, on each device.
        num_workers: Processes that cut crops.
        split: The split that ``infer.py`` reads.
        limit: Read only the first so many pictures of ``split``; all of them if None.
        flip: Mirror training crops left to right with probability 1/2.
        seed: Crops follow from it.
        value_range: As of ``ImageFolder``.
        shard: The part ``i/n`` of them that ``infer.py`` restores, i from 0 to n - 1; all of them if None.

    Raises:
        ValueError: A number is out of its range.
    """

    def __init__(  # noqa: PLR0913 (each is one choice of the user)
        self,
        root: str,
        size: int = 64,
        sides: Sequence[int] | None = None,
        shorter: tuple[int, int] = (128, 1024),
        val_crops: int = 64,
        pass_batches: int = 1000,
        turn: bool = False,
        channels: int = 3,
        val_fraction: float = 0.05,
        verify: bool = True,
        skip_broken: bool = False,
        batch_size: int = 16,
        num_workers: int = 0,
        split: str = "all",
        limit: int | None = None,
        flip: bool = True,
        seed: int = 0,
        value_range: tuple[float, float] | None = None,
        shard: str | None = None,
    ) -> None:
        super().__init__(
            root,
            size,
            channels,
            val_fraction,
            verify,
            skip_broken,
            batch_size,
            num_workers,
            split,
            limit,
            value_range=value_range,
            shard=shard,
        )
        self.sides, self.shorter, self.seed = list(sides or [size]), tuple(shorter), seed
        self.val_crops, self.pass_batches = val_crops, pass_batches
        self.flip_crops, self.turn = flip, turn
        if min(self.sides) < 1:
            raise ValueError(f"data.sides must be positive, got {self.sides}.")
        if not 1 <= self.shorter[0] <= self.shorter[1]:
            raise ValueError(f"data.shorter must be two growing numbers of pixels, got {list(self.shorter)}.")
        if min(val_crops, pass_batches) < 1:
            raise ValueError(
                "data.val_crops and data.pass_batches must be at least 1, "
                f"got {val_crops} and {pass_batches}."
            )

    @cached_property
    def train_crops(self) -> CropDataset:
        """The training crops, of any number."""
        return self._crops("train", self.seed, self.flip_crops, self.turn)

    @cached_property
    def held_out_crops(self) -> ImageDataset:
        """The crops of validation."""
        return _Numbered(self._crops("val", 0, flip=False), self.val_crops, self.size[0])

    def _crops(self, split: str, seed: int, flip: bool, turn: bool = False) -> CropDataset:
        whole = self.dataset(split)
        memory = MEMORY * len(whole) // len(self.files)
        if self.trainer is not None:
            memory //= self.trainer.num_devices  # of this machine: each has a process of its own
        pictures = Pictures(whole.files, self.channels, self.shorter[1], self.value_range, memory)
        return CropDataset(pictures, whole.names, self.shorter, seed, flip, turn)

    def train_dataloader(self) -> DataLoader:
        trainer = self.trainer
        parts = trainer.accumulate_grad_batches
        sampler = CropSampler(
            self.sides,
            self.batch_size,
            trainer.global_rank,
            trainer.world_size,
            self.seed,
            lambda: trainer.global_step * parts,
            -(-self.pass_batches // parts) * parts,
            parts,
        )
        return self._loader(self.train_crops, batch_sampler=sampler)

    def some(self, split: str, count: int) -> ImageDataset:
        crops = self.train_crops if split == "train" else self.held_out_crops.crops
        return _Numbered(crops, count, self.size[0])

    def val_dataloader(self) -> DataLoader:
        return self._share(self.held_out_crops)


class _Numbered(ImageDataset):
    """The first crops of a stream, all of one side."""

    def __init__(self, crops: CropDataset, count: int, side: int) -> None:
        self.crops, self.side = crops, side
        self.names = [f"crop{i:04d}" for i in range(count if len(crops.pictures) else 0)]

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.crops[Crop(index, self.side)]

    def fingerprint(self) -> Any:
        return [self.crops.fingerprint(), len(self), self.side]
