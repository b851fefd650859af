"""Data modules yield batches of the items of ``dataset.py``."""

import abc
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Subset

from lightning_inv.data.dataset import Drawn, First, ImageDataset, Piece, Pieces
from lightning_inv.data.sampler import SameShape, StreamSampler
from lightning_inv.noise import generator


class Shard(NamedTuple):
    """A part of the images: every ``count``-th from ``number`` on."""

    number: int
    count: int

    @classmethod
    def read(cls, text: str) -> "Shard":
        """The shard of a text such as ``3/8``.

        Raises:
            ValueError: The text is not of this form, or there is no such part.
        """
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
            raise ValueError(f"data.shard must be i/n with i from 0 to n - 1, such as 3/8; got {text!r}.")
        return cls(int(number), int(count))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


class ImageDataModule(LightningDataModule, abc.ABC):
    """Loaders over the splits of one source of images.

    Args:
        batch_size: Images in a batch, on each device.
        num_workers: Processes that load images.
        split: The split that ``infer.py`` reads.
        limit: Read only the first so many images of ``split``; all of them if None.
        flip: Mirror training images left to right with probability 1/2.
        seed: The order and the flips of training images follow from it.
        shard: The part ``i/n`` of them that ``infer.py`` restores, i from 0 to n - 1; all of them if None.

    Raises:
        ValueError: A number is out of its range, or the source has no such split.
    """

    splits: Sequence[str] = ("train", "val", "test")
    """The splits that this source has."""

    def __init__(
        self,
        batch_size: int = 16,
        num_workers: int = 0,
        split: str = "test",
        limit: int | None = None,
        flip: bool = False,
        seed: int = 0,
        shard: str | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size must be at least 1, got {batch_size}.")
        if limit is not None and limit < 1:
            raise ValueError(f"data.limit must be at least 1, got {limit}.")
        if split not in self.splits:
            raise ValueError(f"{type(self).__name__} has the splits {', '.join(self.splits)}; got {split!r}.")
        self.batch_size, self.num_workers, self.split, self.limit = batch_size, num_workers, split, limit
        self.flip, self.seed = flip, seed
        self._selected: ImageDataset | None = None
        self.shard = None if shard is None else Shard.read(shard)
        self.finished: Sequence[frozenset[int]] = (frozenset(),)  # images, for each problem
        self.samples: int | None = None  # of each image, where samples are shared out
        self.drawn: Sequence[Mapping[int, Container[int]]] = ({},)  # samples of images, for each problem
        # A rank whose share is empty has no batches; that is no error.
        self.allow_zero_length_dataloader_with_multiple_devices = True

    @abc.abstractmethod
    def dataset(self, split: str) -> ImageDataset:
        """The images of a split."""

    def selected(self) -> ImageDataset:
        """The images that ``infer.py`` reads: the first ``limit`` of ``split``."""
        if self._selected is None:
            images = self.dataset(self.split)
            self._selected = images if self.limit is None else First(images, self.limit)
        return self._selected

    def train_dataloader(self) -> DataLoader:
        images, trainer = self.dataset("train"), self.trainer
        sampler = StreamSampler(
            len(images),
            self.batch_size,
            trainer.global_rank,
            trainer.world_size,
            self.seed,
            lambda: trainer.global_step * trainer.accumulate_grad_batches,
            trainer.accumulate_grad_batches,
        )
        return self._loader(Drawn(images, self.seed, self.flip), sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        return self._share(self.dataset("val"))

    def _share(self, images: ImageDataset) -> DataLoader:
        """This rank's share of the images of validation, on all ranks in as many batches."""
        rank, ranks, length = self.trainer.global_rank, self.trainer.world_size, len(images)
        batches = -(-length // (ranks * self.batch_size))
        whole = range(max(length, batches * ranks))  # a few images twice, where a batch had none
        share = [i % length for i in whole[rank::ranks]]
        groups = [group.tolist() for group in np.array_split(share, batches or 1) if len(group)]
        return self._loader(images, batch_sampler=groups)

    def some(self, split: str, count: int) -> Dataset:
        """Up to so many images of a split, evenly spread over it, of the shape that validation looks at."""
        images = self.dataset(split) if split in self.splits else ()
        count = min(count, len(images))
        return Subset(images, [i * len(images) // count for i in range(count)])

    def examples(self, split: str, count: int) -> DataLoader:
        """Batches of ``some`` images, the same at every call."""
        rng = generator("examples")  # without one, a loader would draw from that of the process
        return self._loader(self.some(split, count), persistent_workers=False, generator=rng)

    def todo(self, problem: int = 0) -> list[int]:
        """The images of ``selected``, of this shard, that ``infer.py`` has yet to restore.

        Args:
            problem: Which of the problems.
        """
        indices = range(len(self.selected()))
        own = indices if self.shard is None else indices[self.shard.number :: self.shard.count]
        return [i for i in own if i not in self.finished[problem]]

    def verify_left(self) -> None:
        """Stops where an image that ``todo`` names is broken, if images are verified; all ranks must ask.

        Raises:
            ValueError: An image is broken.
        """

    def pieces(self, problem: int = 0) -> list[Piece]:
        """The work of ``todo``: images, or samples of images that are not drawn yet.

        Args:
            problem: Which of the problems.
        """
        if self.samples is None:
            return [Piece(i) for i in self.todo(problem)]
        drawn = self.drawn[problem]
        units = (Piece(i, k) for i in self.todo(problem) for k in range(self.samples))
        return [unit for unit in units if unit.sample not in drawn.get(unit.index, ())]

    def predict_dataloader(self) -> DataLoader | list[DataLoader]:
        images, (rank, ranks) = self.selected(), (self.trainer.global_rank, self.trainer.world_size)
        # Each problem begins with another rank, so that few images of many problems keep all ranks at work.
        shares = [self.pieces(k)[(rank - k) % ranks :: ranks] for k in range(len(self.finished))]
        loaders = [self.in_batches(Pieces(images), share) for share in shares]
        return loaders if len(loaders) > 1 else loaders[0]

    def in_batches(self, images: ImageDataset | Pieces, indices: Sequence[Any]) -> DataLoader:
        """Batches of the images with these indices, or pieces, those of one shape together."""
        groups = SameShape(range(len(indices)), self.batch_size, shape=lambda k: images.shapes(indices[k]))
        return self._loader(Subset(images, indices), batch_sampler=groups, persistent_workers=False)

    def _loader(self, images: Dataset, **settings: Any) -> DataLoader:
        settings = {"persistent_workers": self.num_workers > 0, **settings}
        if "batch_sampler" not in settings:
            settings["batch_size"] = self.batch_size
        return DataLoader(
            images,
            num_workers=self.num_workers,
            pin_memory=self.num_workers > 0 and torch.accelerator.is_available(),
            **settings,
        )
