"""The 8 x 8 digits that come with scikit-learn: real images without a download."""

import hashlib
from typing import Any

import torch
from torch import Tensor

from lightning_inv.data.base import ImageDataModule
from lightning_inv.data.dataset import ImageDataset


class _DigitImages(ImageDataset):
    def __init__(self, images: Tensor, labels: Tensor, names: list[str]) -> None:
        self.images, self.labels, self.names = images, labels, names

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {
            "image": self.images[index][None],
            "label": int(self.labels[index]),
            "name": self.names[index],
            "index": index,
        }

    def fingerprint(self) -> Any:
        return hashlib.sha256(self.images.numpy().tobytes()).hexdigest()


class Digits(ImageDataModule):
    """1797 handwritten digits of scikit-learn, shape (1, 8, 8), grey levels 0..16 scaled to [-1, 1].

    Of every ten images the ninth is for validation and the tenth for tests.

    Source: https://archive.ics.uci.edu/dataset/80, CC BY 4.0.
    """

    def dataset(self, split: str) -> ImageDataset:
        from sklearn.datasets import load_digits

        digits = load_digits()
        place = torch.arange(len(digits.images)) % 10
        chosen = {"train": place < 8, "val": place == 8, "test": place == 9}[split].nonzero().flatten()
        images = torch.from_numpy(digits.images).float() / 8 - 1
        labels = torch.from_numpy(digits.target)
        return _DigitImages(images[chosen], labels[chosen], [f"digit{int(i):04d}" for i in chosen])
