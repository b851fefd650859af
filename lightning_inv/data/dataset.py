"""Images by index, and views of them.

Keys of an item: ``image`` (C, H, W) in [-1, 1] and / or ``measurement``; ``name``, unique text; ``index``,
its position in its split, which is what its random numbers are keyed by; ``label``, a class, where there is
one. In training they are keyed by ``number``, its place in the stream of all that training looks at.
"""

import abc
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lightning_inv.data.sampler import Draw, grouped
from lightning_inv.noise import generator

Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of what an item holds: ``image``, ``measurement``, both or neither."""


def shapes_of(item: Mapping[str, Any]) -> Shapes:
    """The shapes of the image and of the measurement of an item, or of a batch."""
    return {key: tuple(item[key].shape) for key in ("image", "measurement") if key in item}


class ImageDataset(Dataset, abc.ABC):
    """Images by index, with names that are known before any image is read."""

    names: Sequence[str]
    labels: Tensor | None = None
    """The class of each image, shape ``(N,)``, where they are known before any image is read."""

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))

    @abc.abstractmethod
    def __getitem__(self, index: int) -> dict[str, Any]:
        """The item at ``index``; see the module's docstring for its keys."""

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """The items of a batch: one by one, unless a subclass has a faster way."""
        return [self[i] for i in indices]

    def shapes(self, index: int) -> Shapes:
        """The shapes ``(C, H, W)`` of the image and of the measurement at ``index``, of those there are.

        Those of the first item, unless a subclass has images of several sizes.
        """
        return self._alike

    @cached_property
    def _alike(self) -> Shapes:
        return shapes_of(self[0])

    def check_labels(self, classes: int) -> None:
        """Raises ValueError if an image is known to be of none of so many classes."""
        for name, label in zip(self.names, () if self.labels is None else self.labels.tolist(), strict=False):
            if not 0 <= label < classes:
                raise ValueError(
                    f"the image {name!r} has the label {label}, but the prior knows the classes "
                    f"0 to {classes - 1}."
                )

    def by_shape(self) -> list[list[int]]:
        """The indices of images, in groups of one shape."""
        return grouped(range(len(self)), self.shapes)

    @abc.abstractmethod
    def fingerprint(self) -> Any:
        """Plain data that change when an item does; ``labels`` may be left out."""


class First(ImageDataset):
    """The first images of a data set.

    Args:
        images: The data set.
        count: How many of its images, at most.
    """

    def __init__(self, images: ImageDataset, count: int) -> None:
        self.images, self.names = images, images.names[:count]
        self.labels = None if images.labels is None else images.labels[:count]

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.images[index]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        return self.images.__getitems__(indices)

    def shapes(self, index: int) -> Shapes:
        return self.images.shapes(index)

    def fingerprint(self) -> Any:
        return [self.images.fingerprint(), len(self)]


class _Keyed(Dataset, abc.ABC):
    """Images by keys that have an ``index`` and say more of the item."""

    images: ImageDataset

    def __getitem__(self, key: Any) -> dict[str, Any]:
        return self._item(key, self.images[key.index])

    def __getitems__(self, keys: Sequence[Any]) -> list[dict[str, Any]]:
        items = self.images.__getitems__([key.index for key in keys])
        return [self._item(key, item) for key, item in zip(keys, items, strict=True)]

    @abc.abstractmethod
    def _item(self, key: Any, item: dict[str, Any]) -> dict[str, Any]:
        """What the item of ``images`` is under this key."""


class Drawn(_Keyed):
    """Images as training looks at them: mirrored or not, by their number in the stream."""

    def __init__(self, images: ImageDataset, seed: int, flip: bool) -> None:
        self.images, self.seed, self.flip = images, seed, flip

    def _item(self, draw: Draw, item: dict[str, Any]) -> dict[str, Any]:
        if self.flip and torch.rand((), generator=generator(self.seed, draw.number, "flip")) < 0.5:
            item = {**item, "image": item["image"].flip(-1)}
        return {**item, "number": draw.number}


class Piece(NamedTuple):
    """What is restored: an image, all its samples or one of them."""

    index: int
    sample: int | None = None


class Pieces(_Keyed):
    """Images by piece."""

    def __init__(self, images: ImageDataset) -> None:
        self.images = images

    def _item(self, piece: Piece, item: dict[str, Any]) -> dict[str, Any]:
        return item if piece.sample is None else {**item, "sample": piece.sample}

    def shapes(self, piece: Piece) -> Shapes:
        return self.images.shapes(piece.index)
