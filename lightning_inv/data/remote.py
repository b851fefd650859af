"""Images in a bucket, or in a folder that fits no disk of the machine, read as they are needed."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from lightning_inv.data.base import ImageDataModule
from lightning_inv.data.dataset import ImageDataset, Shapes
from lightning_inv.data.folder import held_out
from lightning_inv.data.image_files import (
    both_sides,
    check_channels,
    check_fraction,
    check_range,
    image_names,
    read_image,
    stem,
)
from lightning_inv.data.storage import StoredImages


class _Remote(ImageDataset):
    """Some of the images of a place.

    Args:
        files: All of its files.
        places: Which of them.
        names: The name of each of these.
        channels: As in ``read_image``.
        size: Height and width in pixels.
        value_range: As in ``read_image``.
    """

    def __init__(
        self,
        files: StoredImages,
        places: Sequence[int],
        names: Sequence[str],
        channels: int,
        size: tuple[int, int],
        value_range: tuple[float, float] | None,
    ) -> None:
        self.files, self.places, self.names = files, places, names
        self.channels, self.size, self.value_range = channels, size, value_range

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        contents = self.files.read([self.places[i] for i in indices])
        return [
            {
                "image": read_image(file, self.channels, self.size, self.value_range),
                "name": self.names[i],
                "index": i,
            }
            for i, file in zip(indices, contents, strict=True)
        ]

    def shapes(self, index: int) -> Shapes:
        return {"image": (self.channels, *self.size)}

    def sources(self) -> list[Path]:
        return [] if self.files.remote else [Path(self.files.root, self.files.names[k]) for k in self.places]

    def fingerprint(self) -> list[Any]:
        sizes = [self.files.size(place) for place in self.places]
        return [list(self.names), sizes, self.channels, self.size, self.value_range]


class RemoteImages(ImageDataModule):
    """The images of a bucket, or of a folder, none of which is kept on the disk: for sets that fit none.

    Names, the split into "val" and "train", order and flips are those of ``ImageFolder`` on the same files,
    and a training that was interrupted goes on with the very image that came next. Images are read when their
    batch is, those of a batch at once. None is verified before: one that is broken or gone stops the run with
    its name. That a set is the same as before is told from names and sizes.

    Buckets are those of S3 or of what speaks its protocol; credentials, region and address are found as boto3
    finds them, in ``AWS_ENDPOINT_URL`` and the like. It was run with a server on the same machine, not with
    S3 itself. ``gs://`` needs gcsfs and google-cloud-storage, too, and has not been run.

    Needs litdata: ``pip install 'lightning_inv[remote]'``.

    Args:
        root: ``s3://bucket/images``, ``gs://bucket/images``, or a folder.
        size: Height and width in pixels, or one number for both: images are scaled to cover it and cut in
            the middle.
        channels: 1 for grey, 3 for RGB, which become each other; any other number must be that of the files.
        val_fraction: The share of images, about, that is held out for validation; at least one image is,
            unless it is 0.
        listing: A file for the names and sizes of the images, made by the first process that finds none, and
            believed ever after: the set stays as it is until the file is deleted. If None, each process looks
            for images when it starts.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that read images.
        split: The split that ``infer.py`` reads.
        limit: Read only the first so many images of ``split``; all of them if None.
        flip: Mirror training images left to right with probability 1/2.
        seed: The order and the flips of training images follow from it.
        value_range: As of ``ImageFolder``.
        shard: The part ``i/n`` of them that ``infer.py`` restores, i from 0 to n - 1; all of them if None.

    Raises:
        ValueError: A number is out of its range.
    """

    splits = ("all", "train", "val")

    def __init__(  # noqa: PLR0913 (each is one choice of the user)
        self,
        root: str,
        size: int | tuple[int, int],
        channels: int = 3,
        val_fraction: float = 0.05,
        listing: str | None = None,
        batch_size: int = 16,
        num_workers: int = 0,
        split: str = "all",
        limit: int | None = None,
        flip: bool = False,
        seed: int = 0,
        value_range: tuple[float, float] | None = None,
        shard: str | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, split, limit, flip, seed, shard)
        self.size = both_sides(size)
        check_fraction(val_fraction)
        check_channels(channels)
        check_range(value_range)
        self.root, self.channels, self.val_fraction = root, channels, val_fraction
        self.listing, self.value_range = listing, value_range

    @cached_property
    def files(self) -> StoredImages:
        """All images of the place."""
        return StoredImages(self.root, self.listing, forks=self.num_workers > 0)

    @cached_property
    def _named(self) -> list[tuple[str, bool]]:
        """The name of each image, and whether it is held out."""
        files = [Path(name) for name in self.files.names]
        held = held_out([stem(Path(), file) for file in files], self.val_fraction)
        return list(zip(image_names(Path(), files), held, strict=True))

    def setup(self, stage: str) -> None:
        self.files  # noqa: B018 (lists them)

    def dataset(self, split: str) -> ImageDataset:
        places = [i for i, (_, val) in enumerate(self._named) if split == "all" or val == (split == "val")]
        names = [self._named[i][0] for i in places]
        return _Remote(self.files, places, names, self.channels, self.size, self.value_range)
