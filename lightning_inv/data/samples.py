"""Data that need no file of the user."""

from typing import Any

from lightning_inv.data.base import ImageDataModule
from lightning_inv.data.dataset import ImageDataset
from lightning_inv.data.image_files import FolderDataset, find_images, image_names
from lightning_inv.files import ASSETS


class SampleImages(ImageDataModule):
    """64 test images of Fashion-MNIST that ship with the package, shape (1, 32, 32).

    The last 16 are kept for validation: of Fashion-MNIST they are test images, but the split "test" here does
    not have them.

    Args:
        limit: Read only the first so many; all of them if None.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that load images.
        split: The first 48, "test", or the last 16, "val".
        shard: The part ``i/n`` of them that ``infer.py`` restores, i from 0 to n - 1; all of them if None.
    """

    splits = ("val", "test")

    def __init__(
        self,
        limit: int | None = 8,
        batch_size: int = 16,
        num_workers: int = 0,
        split: str = "test",
        shard: str | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, split, limit, shard=shard)

    def dataset(self, split: str) -> ImageDataset:
        root = ASSETS / "fashion_mnist_test"
        files = find_images(root)[{"test": slice(48), "val": slice(48, None)}[split]]
        return FolderDataset(files, image_names(root, files), 1, None)


class _Nothing(ImageDataset):
    def __init__(self, count: int) -> None:
        self.names = [f"sample{i:05d}" for i in range(count)]

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"name": self.names[index], "index": index}

    def fingerprint(self) -> list[Any]:
        return []  # a longer list of samples begins with the shorter one


class NoImages(ImageDataModule):
    """No images at all, for unconditional samples.

    Args:
        count: How many samples to draw.
        batch_size: Samples in a batch, on each device.
        shard: The part ``i/n`` of them that ``infer.py`` restores, i from 0 to n - 1; all of them if None.
    """

    splits = ("all",)

    def __init__(self, count: int = 64, batch_size: int = 64, shard: str | None = None) -> None:
        super().__init__(batch_size, split="all", shard=shard)
        if count < 1:
            raise ValueError(f"data.count must be at least 1, got {count}.")
        self.count = count

    def dataset(self, split: str) -> ImageDataset:
        return _Nothing(self.count)
