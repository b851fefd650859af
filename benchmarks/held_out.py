"""Photographs that no prior here was trained on, out of the wheels of packages: nothing is downloaded."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from lightning_inv.data import ImageDataModule, ImageDataset
from lightning_inv.data.image_files import FolderDataset

FILES: dict[str, dict[str, tuple[str, str]]] = {
    "test": {
        "astronaut": ("skimage", "data/astronaut.png"),
        "coffee": ("skimage", "data/coffee.png"),
        "chelsea": ("skimage", "data/chelsea.png"),
        "rocket": ("skimage", "data/rocket.jpg"),
        "motorcycle": ("skimage", "data/motorcycle_left.png"),
        "china": ("sklearn", "datasets/images/china.jpg"),
        "flower": ("sklearn", "datasets/images/flower.jpg"),
    },
    "tuning": {
        "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
        "camera": ("skimage", "data/camera.png"),
        "ihc": ("skimage", "data/ihc.png"),
    },
}
"""Of each split the photographs by name: the package and the file within it. Settings of classical methods
are chosen on "tuning": a portrait, a photograph in grey and one through a microscope."""


class HeldOut(ImageDataModule):
    """The photographs as data of infer.py: ``--data held_out.HeldOut``.

    Args:
        size: Height and width in pixels: scaled to cover them, then cut in the middle.
        batch_size: Images in a batch, on each device.
        split: "test", or "tuning" for those that settings are chosen on.
        limit: Read only the first so many images; all of them if None.
    """

    splits = tuple(FILES)

    def __init__(
        self, size: int = 256, batch_size: int = 1, split: str = "test", limit: int | None = None
    ) -> None:
        super().__init__(batch_size, split=split, limit=limit)
        self.size = size

    def dataset(self, split: str) -> ImageDataset:
        files = [path_of(*place) for place in FILES[split].values()]
        return FolderDataset(files, list(FILES[split]), 3, (self.size, self.size))


def path_of(package: str, file: str) -> Path:
    """Where a file of an installed package lies; the package is not imported.

    Raises:
        FileNotFoundError: The package is not installed, or its wheel has no such file.
    """
    spec = find_spec(package)
    path = Path(spec.origin).parent / file if spec else None
    if path is None or not path.is_file():
        raise FileNotFoundError(f"there is no {file} in the package {package}; pip install '.[benchmark]'.")
    return path


def photographs(
    size: int = 256, split: str = "test", limit: int | None = None
) -> tuple[Sequence[str], Tensor]:
    """Names, and images in [-1, 1], shape ``(N, 3, size, size)``.

    Args:
        size: Height and width in pixels.
        split: "test" or "tuning".
        limit: How many, at most; all if None.
    """
    items = HeldOut(size, split=split, limit=limit).selected()
    return list(items.names), torch.stack([item["image"] for item in items])
