"""Pieces of the photographs that a prior was trained on, to choose settings on."""

from typing import Any

from lightning_inv.data import ImageDataset, ImageFolder
from lightning_inv.data.image_files import FolderDataset


class MiddleCrops(ImageFolder):
    """The middles of the first training pictures of a folder: ``--data middle_crops.MiddleCrops``.

    A picture is scaled to cover a square of twice the side, so that the piece shows details as large as a
    whole photograph of that side does.

    Args:
        root: The folder.
        size: Height and width of a piece in pixels.
        count: How many pictures.
        batch_size: Pieces in a batch, on each device.
    """

    splits = ("train", "val", "all")

    def __init__(self, root: str, size: int = 128, count: int = 8, batch_size: int = 1) -> None:
        super().__init__(root, 2 * size, verify=False, batch_size=batch_size, split="train")
        self.count = count

    def dataset(self, split: str) -> ImageDataset:
        whole = super().dataset(split)
        return Middles(whole.files[: self.count], whole.names[: self.count], 3, self.size)


class Middles(FolderDataset):
    """The middles, half as wide and half as high, of image files."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = super().__getitem__(index)
        H, W = (length // 2 for length in self.size)
        cut = item["image"][:, H // 2 : H // 2 + H, W // 2 : W // 2 + W]
        return {**item, "image": cut.contiguous()}

    def fingerprint(self) -> list[Any]:
        return [*super().fingerprint(), "middle"]
