"""Small priors and short runs of the two command lines."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_inv.data import ImageDataModule, ImageDataset
from lightning_inv.denoisers import EpsilonDenoiser
from lightning_inv.networks import TinyNetwork
from lightning_inv.schedules import Schedule


def tiny_prior(shape: Sequence[int] = (1, 8, 8), schedule: Schedule | None = None) -> EpsilonDenoiser:
    """An untrained prior of three small convolutions."""
    return EpsilonDenoiser(TinyNetwork(shape[0], width=4), shape, schedule)


class GivenImages(ImageDataModule):
    """Images in memory.

    Args:
        images: The images of each split, shape ``(B, C, H, W)``; a split that is not named has none.
        settings: Settings of every data module.
    """

    def __init__(self, images: dict[str, Tensor], **settings: Any) -> None:
        super().__init__(**settings)
        self.images = images

    def dataset(self, split: str) -> ImageDataset:
        return _Given(self.images.get(split, ()))


class _Given(ImageDataset):
    def __init__(self, images: Sequence[Tensor]) -> None:
        self.images, self.names = images, [f"image{i}" for i in range(len(images))]

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": self.images[index], "name": self.names[index], "index": index}

    def fingerprint(self) -> Any:
        return len(self)


def attached(data: ImageDataModule, **state: Any) -> ImageDataModule:
    """The data with a stand-in for the trainer."""
    defaults = {
        "global_step": 0,
        "global_rank": 0,
        "world_size": 1,
        "num_devices": 1,
        "accumulate_grad_batches": 1,
    }
    data.trainer = SimpleNamespace(**{**defaults, **state})
    return data


def refusal(script: Callable[[list[str]], Any], words: Sequence[str], capsys: pytest.CaptureFixture) -> str:
    """What a command line says before it ends with code 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        script(list(words))
    said = capsys.readouterr().err
    assert caught.value.code == 2, said
    assert "Traceback" not in said
    return said


def names_of(data: ImageDataModule, split: str = "all") -> list[str]:
    """The names of the images of a split."""
    return list(data.dataset(split).names)


def random_weights(network: nn.Module, deviation: float = 0.2, seed: int = 0) -> nn.Module:
    """The network with random weights in place of those it begins with, some of which are 0."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(deviation * torch.randn(weights.shape, generator=rng))
    return network
