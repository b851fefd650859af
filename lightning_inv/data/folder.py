"""A folder of images."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from lightning_inv.data.base import ImageDataModule
from lightning_inv.data.dataset import ImageDataset
from lightning_inv.data.image_files import (
    FolderDataset,
    Refusal,
    both_sides,
    check_channels,
    check_fraction,
    check_range,
    find_images,
    image_names,
    refused,
    refused_by_ranks,
    stem,
)


class ImageFolder(ImageDataModule):
    """The images of a folder and of all folders in it, but for those that runs write to.

    Each image belongs to "val" or "train" by a hash of its path, so that the split stays as it is when
    images are added. The split "all" holds both.

    Args:
        root: The folder.
        size: Height and width in pixels, or one number for both: images are scaled to cover it and cut in
            the middle.
        channels: 1 for grey, 3 for RGB, which become each other; any other number must be that of the files.
        val_fraction: The share of images, about, that is held out for validation; at least one image is,
            unless it is 0.
        verify: Decode every image once before any work; ``infer.py`` decodes those that are left to do.
        skip_broken: Leave out images that cannot be decoded, instead of stopping at the first.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that load images.
        split: The split that ``infer.py`` reads.
        limit: Read only the first so many images of ``split``; all of them if None.
        flip: Mirror training images left to right with probability 1/2.
        seed: The order and the flips of training images follow from it.
        value_range: The numbers in the files that are black and white; None for the whole range of integers
            of 8 or 16 bits, and [0, 1] of floats.
        shard: The part ``i/n`` of them that ``infer.py`` restores, i from 0 to n - 1; all of them if None.
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
        value_range: tuple[float, float] | None = None,
        shard: str | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, split, limit, flip, seed, shard)
        self.size = both_sides(size)
        check_fraction(val_fraction)
        check_channels(channels)
        check_range(value_range)
        self.root, self.channels, self.val_fraction = Path(root).expanduser(), channels, val_fraction
        self.verify, self.skip_broken, self.value_range = verify or skip_broken, skip_broken, value_range
        self._bad: dict[Path, Refusal] | None = None

    @cached_property
    def _found(self) -> list[Path]:
        return find_images(self.root)

    @cached_property
    def files(self) -> list[Path]:
        """All files, without those to be skipped."""
        files, bad = self._found, self._bad or {}
        if self.verify and self._bad is None:
            bad = refused(files, self.channels, self.value_range)
        if bad and not self.skip_broken:
            raise ValueError(_told(list(bad.values()), len(files)))
        if len(bad) == len(files):
            raise ValueError(f"every image in {self.root} is left out: {next(iter(bad.values())).why}")
        return [file for file in files if file not in bad]

    def setup(self, stage: str) -> None:
        if stage == "predict" and not self.skip_broken:
            self._bad = {}  # ``verify_left`` looks for them
        if self.verify and self._bad is None:
            self._bad = refused_by_ranks(self._found, self.channels, self.value_range)
        self.files  # noqa: B018 (stops at broken ones)

    def verify_left(self) -> None:
        if not self.verify or self.skip_broken:
            return
        left = sorted({index for k in range(len(self.finished)) for index in self.todo(k)})
        files = self.dataset(self.split).files
        if bad := refused_by_ranks([files[index] for index in left], self.channels, self.value_range):
            raise ValueError(_told(list(bad.values()), len(left)))

    @cached_property
    def _named(self) -> list[tuple[Path, str, bool]]:
        """Each file, its name, and whether it is held out."""
        held = held_out([stem(self.root, file) for file in self.files], self.val_fraction)
        return list(zip(self.files, image_names(self.root, self.files), held, strict=True))

    def dataset(self, split: str) -> ImageDataset:
        pairs = [(file, name) for file, name, val in self._named if split == "all" or val == (split == "val")]
        return FolderDataset(
            [file for file, _ in pairs],
            [name for _, name in pairs],
            self.channels,
            self.size,
            value_range=self.value_range,
        )


def _told(refusals: list[Refusal], count: int) -> str:
    """The first refusal, and how many of so many images are refused for the like of it."""
    why, setting = refusals[0]
    alike = sum(refusal.setting == setting for refusal in refusals)
    if setting is None:
        return f"{why} ({alike} of {count} images are broken; data.skip_broken leaves them out.)"
    return f"{why} ({alike} of {count} images are not broken, but need another {setting}.)"


def held_out(stems: Sequence[str], share: float) -> list[bool]:
    """Whether each image is held out for validation: about a share of them, and one at least unless it is 0.

    Args:
        stems: The paths of all images, without suffix; a hash of each decides.
        share: In [0, 1).
    """
    fractions = [hash_fraction(name) for name in stems]
    bound = max(share, min(fractions) * (1 + 1e-9)) if share else 0.0
    return [fraction < bound for fraction in fractions]


def hash_fraction(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    told = name.encode(errors="surrogateescape")  # the bytes of names of files that are no UTF-8
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big") / 2**64
