"""Fashion-MNIST: 28 x 28 grey garments, padded to 32 x 32."""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_inv.data.base import ImageDataModule
from lightning_inv.data.dataset import ImageDataset

FILES = {"train": "train", "val": "train", "test": "t10k"}


def find_idx(root: Path, name: str) -> Path | None:
    """The idx file ``name``, gzipped or not, in ``root`` or where torchvision puts it, or None."""
    folders = (root, root / "FashionMNIST" / "raw")
    return next(
        (f / (name + end) for f in folders for end in ("", ".gz") if (f / (name + end)).is_file()), None
    )


def read_idx(path: Path) -> Tensor:
    """An array of bytes in the idx format of MNIST.

    Raises:
        ValueError: The file is truncated or not of that format.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            data = file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path} is not a complete gzip file: {error}; delete it to have it downloaded again."
        ) from None
    dims = data[3] if len(data) > 3 and data[:3] == b"\x00\x00\x08" else 0
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims)]
    if not dims or len(data) != 4 + 4 * dims + int(np.prod(shape)):
        raise ValueError(f"{path} is not a complete idx file of bytes: shape {shape}, {len(data)} bytes.")
    return torch.frombuffer(bytearray(data[4 + 4 * dims :]), dtype=torch.uint8).view(shape)


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
        images, labels = (self._read(f"{part}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))
        names = [f"{part}{i:05d}" for i in range(len(images))]
        held_out = max(len(images) - self.HELD_OUT, len(images) // 2)  # small files keep half to train on
        span = {"train": slice(held_out), "val": slice(held_out, None), "test": slice(None)}[split]
        return _Garments(images[span], labels[span], names[span])

    def _read(self, name: str) -> Tensor:
        path = find_idx(self.root, name)
        if path is None:
            raise FileNotFoundError(f"no file {name} or {name}.gz in {self.root}.")
        return read_idx(path)
