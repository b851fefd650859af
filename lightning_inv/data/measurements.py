"""A folder of degraded images."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from lightning_inv.data.base import ImageDataModule
from lightning_inv.data.dataset import ImageDataset, Shapes
from lightning_inv.data.image_files import (
    FolderDataset,
    check_channels,
    check_range,
    find_images,
    image_names,
    refused,
)


class _Measured(ImageDataset):
    """Measurements, and the truth of each where it is known."""

    def __init__(self, measurements: FolderDataset, truth: FolderDataset | None) -> None:
        self.measurements, self.truth, self.names = measurements, truth, measurements.names

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.measurements[index]
        return item if self.truth is None else {**item, "image": self.truth[index]["image"]}

    def shapes(self, index: int) -> Shapes:
        truth = {} if self.truth is None else self.truth.shapes(index)
        return {**self.measurements.shapes(index), **truth}

    def sources(self) -> list[Path]:
        return [*self.measurements.sources(), *(self.truth.sources() if self.truth else ())]

    def fingerprint(self) -> list[Any]:
        return [self.measurements.fingerprint(), self.truth.fingerprint() if self.truth else None]


class MeasurementFolder(ImageDataModule):
    """A folder of degraded images, which are restored as they are.

    Args:
        root: The folder of degraded images, as the operator would make them: for inpainting of the size of
            the images sought, for super-resolution smaller. A prior of any size takes images of several.
        truth: A folder of the true images, of the same names, if they are known.
        channels: The channels of the degraded images: 1 for grey, 3 for RGB, which become each other; any
            other number must be that of the files.
        truth_channels: The channels of the true images; those of the degraded ones if None.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that load images.
        limit: Read only the first so many images; all of them if None.
        value_range: The numbers in the files that are black and white; None for the whole range of integers
            of 8 or 16 bits, and [0, 1] of floats.
        shard: The part ``i/n`` of them that ``infer.py`` restores, i from 0 to n - 1; all of them if None.
    """

    splits = ("all",)

    def __init__(  # noqa: PLR0913 (each is one choice of the user)
        self,
        root: str,
        truth: str | None = None,
        channels: int = 3,
        truth_channels: int | None = None,
        batch_size: int = 16,
        num_workers: int = 0,
        limit: int | None = None,
        value_range: tuple[float, float] | None = None,
        shard: str | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, "all", limit, shard=shard)
        self.root, self.truth = Path(root).expanduser(), Path(truth).expanduser() if truth else None
        self.channels, self.truth_channels = channels, truth_channels or channels
        check_channels(self.channels)
        check_channels(self.truth_channels)
        check_range(value_range)
        self.value_range = value_range

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
        truth = FolderDataset(
            files, measurements.names, self.truth_channels, None, value_range=self.value_range
        )
        return _Measured(measurements, truth)

    def _read(self, root: Path, channels: int, key: Literal["image", "measurement"]) -> FolderDataset:
        files = find_images(root)
        for refusal in refused(files, channels, self.value_range).values():
            raise ValueError(refusal.why)
        return FolderDataset(files, image_names(root, files), channels, None, key, self.value_range)

    def dataset(self, split: str) -> ImageDataset:
        return self._all
