"""Fashion-MNIST: 28 x 28 grey garments, padded to 32 x 32."""

import gzip
import hashlib
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_inv.data.base import ImageDataModule
from lightning_inv.data.dataset import ImageDataset

FILES = {"train": "train", "val": "train", "test": "t10k"}
CLASSES = 10
"""The kinds of garments."""
LARGEST = 2**26
"""The bytes of an array, at most; the largest of the true ones, of 60000 x 28 x 28, has 47 million."""


def find_idx(root: Path, name: str) -> Path | None:
    """The idx file ``name``, gzipped or not, in ``root`` or where torchvision puts it, or None."""
    folders = (root, root / "FashionMNIST" / "raw")
    return next(
        (f / (name + end) for f in folders for end in ("", ".gz") if (f / (name + end)).is_file()), None
    )


def read_idx(path: Path, sides: Sequence[int]) -> Tensor:
    """An array of bytes in the idx format of MNIST.

    Args:
        path: The file, gzipped or not.
        sides: The shape of each of the things that it holds.

    Returns:
        Shape ``(N, *sides)`` with N at least 1.

    Raises:
        ValueError: The file is truncated, not of that format, or holds an array of another shape.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            shape = _read_shape(path, file)
            size = math.prod(shape)
            data = file.read(size + 1)  # of a gzip file there may be a thousand times more
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path} is not a complete gzip file: {error}; delete it to have it downloaded again."
        ) from None
    if len(data) != size:
        held = f"{len(data)} bytes" if len(data) < size else "more bytes"
        raise ValueError(f"{path} is not a complete idx file of bytes: shape {shape}, {held} of {size}.")
    if shape[1:] != list(sides) or not size:
        expected = ", ".join(map(str, ("N", *sides)))
        raise ValueError(f"{path} holds an array of shape {shape}, expected [{expected}] with N at least 1.")
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).view(shape)


def _read_shape(path: Path, file: BinaryIO) -> list[int]:
    """The shape that the header of an idx file tells; raises ValueError if it tells none, or a huge one."""
    start = file.read(4)
    sides = file.read(4 * start[3]) if len(start) == 4 and start[:3] == b"\x00\x00\x08" else b""
    if not sides or len(sides) < 4 * start[3]:
        raise ValueError(f"{path} is not a complete idx file of bytes: its header cannot be read.")
    shape = [int.from_bytes(sides[i : i + 4], "big") for i in range(0, len(sides), 4)]
    if math.prod(shape) > LARGEST:
        raise ValueError(f"{path} tells of an array of shape {shape}, more than {LARGEST} bytes.")
    return shape


class _Garments(ImageDataset):
    """Images and labels in memory."""

    def __init__(self, images: Tensor, labels: Tensor, names: Sequence[str]) -> None:
        self.images, self.labels, self.names = images, labels, names

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = self.images[index].float() / 127.5 - 1
        return {
            "image": F.pad(image, (2, 2, 2, 2), value=-1.0)[None],
            "label": int(self.labels[index]),
            "name": self.names[index],
            "index": index,
        }

    def fingerprint(self) -> Any:
        return hashlib.sha256(self.images.numpy().tobytes()).hexdigest()


class FashionMNIST(ImageDataModule):
    """Fashion-MNIST, shape (1, 32, 32): 60000 images to train on, 10000 to test on.

    The idx files are read from ``root``, gzipped or not; torchvision downloads them there if they are absent.
    The split "val" is the last 1000 training images, which "train" leaves out.

    Source: Xiao et al. (2017), https://arxiv.org/abs/1708.07747; MIT licence.

    Args:
        root: The folder of the idx files.
        download: Whether absent files may be downloaded.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that load images.
        split: The split that ``infer.py`` reads.
        limit: Read only the first so many images of ``split``; all of them if None.
        flip: Mirror training images left to right with probability 1/2.
        seed: The order and the flips of training images follow from it.
        shard: The part ``i/n`` of them that ``infer.py`` restores, i from 0 to n - 1; all of them if None.
    """

    HELD_OUT = 1000

    def __init__(  # noqa: PLR0913 (each is one choice of the user)
        self,
        root: str = "data",
        download: bool = True,
        batch_size: int = 64,
        num_workers: int = 0,
        split: str = "test",
        limit: int | None = None,
        flip: bool = False,
        seed: int = 0,
        shard: str | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, split, limit, flip, seed, shard)
        self.root, self.download = Path(root).expanduser(), download

    def prepare_data(self) -> None:
        found = [
            all(find_idx(self.root, f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
            for part in ("train", "t10k")
        ]
        if all(found) or (any(found) and not self.download):
            return
        if not self.download:
            raise FileNotFoundError(f"no Fashion-MNIST idx files in {self.root} and data.download is false.")
        from torchvision.datasets import FashionMNIST as Downloader

        try:
            Downloader(str(self.root), download=True)
        except (OSError, RuntimeError) as error:
            if any(found):  # perhaps the other part is not needed
                return
            raise FileNotFoundError(
                f"no Fashion-MNIST idx files in {self.root}, and they could not be downloaded ({error}). "
                "Put the four *-ubyte or *-ubyte.gz files there, or name their folder by --data.root."
            ) from None

    def dataset(self, split: str) -> ImageDataset:
        part = FILES[split]
        file, theirs = (self._find(f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
        images, labels = read_idx(file, (28, 28)), read_idx(theirs, ())
        if len(labels) != len(images):
            raise ValueError(f"{theirs} holds {len(labels)} labels, but {file} holds {len(images)} images.")
        if (most := int(labels.max())) >= CLASSES:
            raise ValueError(f"{theirs} holds the label {most}, but classes are 0 to {CLASSES - 1}.")
        names = [f"{part}{i:05d}" for i in range(len(images))]
        held_out = max(len(images) - self.HELD_OUT, len(images) // 2)  # small files keep half to train on
        span = {"train": slice(held_out), "val": slice(held_out, None), "test": slice(None)}[split]
        return _Garments(images[span], labels[span], names[span])

    def _find(self, name: str) -> Path:
        path = find_idx(self.root, name)
        if path is None:
            raise FileNotFoundError(f"no file {name} or {name}.gz in {self.root}.")
        return path
