"""One picture of a run of several problems: some images of each as every solver restored them."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from lightning_inv.callbacks.manifest import picture_path
from lightning_inv.callbacks.pictures import TILE, Cell, comparison
from lightning_inv.opening import open_picture, refusing

LARGEST = 256
"""The most pixels of a side at which an image is shown."""


def overview(folder: Path, records: dict[str, list[dict[str, Any]]]) -> Image.Image:
    """The truth, the measurement and all solvers side by side; a row an image and problem.

    Args:
        folder: The folder of results, with one of each problem in it.
        records: The records of the images to show, by problem.
    """
    solvers = dict.fromkeys(
        solver for images in records.values() for record in images for solver in record["solvers"]
    )
    columns = ["truth", "measurement", *solvers]
    rows = [
        [_cell(folder / problem, column, record, problem) for column in columns]
        for problem, images in records.items()
        for record in images
    ]
    if all(row[0][0] is None for row in rows):  # measured images, whose truth is not known
        columns, rows = columns[1:], [row[1:] for row in rows]
    sides = [image.shape[-2:] for row in rows for image, _ in row if image is not None]
    sides = sides or [(TILE, TILE)]
    height, width = (min(max(TILE, *lengths), LARGEST) for lengths in zip(*sides, strict=True))
    return comparison(columns, rows, tile=(width, height))


def _cell(folder: Path, column: str, record: dict[str, Any], problem: str) -> Cell:
    """The picture of a column, if a file in the folder holds one, and what is told below it."""
    path = picture_path(folder / column, record["index"], record["name"])
    ours = path.is_file() and path.resolve().is_relative_to(folder.resolve())  # no pipe, no link elsewhere
    image = _read(path) if ours else None
    told, failed = (record["solvers"].get(column, {}).get(key) for key in ("psnr_of_mean", "failed"))
    if column == "measurement":
        return image, problem.replace("_", " ")
    return image, "failed" if failed else "" if told is None else f"{told:.1f} dB"


def _read(path: Path) -> Tensor:
    try:
        with refusing(), open_picture(path) as image:
            return pil_to_tensor(image).to(torch.float32) / 127.5 - 1
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be read as a picture: {error}. Remove it, to leave it out."
        ) from None
