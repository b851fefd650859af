"""Small priors and short runs of the two command lines."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lightning_inv.data import ImageDataModule
from lightning_inv.denoisers import EpsilonDenoiser
from lightning_inv.networks import TinyNetwork
from lightning_inv.schedules import Schedule


def tiny_prior(shape: Sequence[int] = (1, 8, 8), schedule: Schedule | None = None) -> EpsilonDenoiser:
    """An untrained prior of three small convolutions."""
    return EpsilonDenoiser(TinyNetwork(shape[0], width=4), shape, schedule)


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
