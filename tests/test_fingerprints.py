"""What decides a result changes its description, and nothing else does."""

import json
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from lightning_inv.constraints import Classifier, Constraint
from lightning_inv.fingerprints import plain_data, weights_digest
from lightning_inv.recipes import describe
from lightning_inv.solvers import Latent, PlugAndPlay, Term


class Bright(Constraint):
    """A constraint of the user."""

    def __init__(self, mean: float) -> None:
        super().__init__()
        self.mean = mean

    def forward(self, x: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        return (x.flatten(1).mean(1) - self.mean) ** 2

    def entries(self, x: torch.Tensor, y: torch.Tensor | None) -> int:
        return 1


class Sharp(nn.Module):
    """A network with a setting that is no weight."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature, self.inner = temperature, nn.Sequential(nn.Softmax(1))


class Fade:
    """An object that can be called."""

    def __init__(self, power: float) -> None:
        self.power = power

    def __call__(self, over: float) -> float:
        return (1 - over) ** self.power


def closure(power: float) -> Any:
    return lambda over: over**power


def power(over: float, by: float) -> float:
    return over**by


MAKE = {
    "constraint": lambda k: PlugAndPlay(terms={"bright": Term(Bright(k))}),
    "classifier": lambda k: PlugAndPlay(terms={"class": Term(Classifier(Sharp(k), 1))}),
    "latent": lambda k: PlugAndPlay(latent=Latent(Sharp(k), (3,))),
    "weight": lambda k: PlugAndPlay(terms={"bright": Term(Bright(0.0), weight=k)}),
    "object": lambda k: PlugAndPlay(anneal=Fade(k)),
    "closure": lambda k: PlugAndPlay(weighting=closure(k)),
    "partial": lambda k: PlugAndPlay(anneal=partial(power, by=k)),
    "optimizer": lambda k: PlugAndPlay(optimizer=partial(torch.optim.SGD, momentum=k)),
    "method": lambda k: PlugAndPlay(anneal=Fade(k).__call__),
    "builtin": lambda k: PlugAndPlay(weighting=torch.sqrt if k < 0.4 else torch.square),
}


def told(solver: PlugAndPlay) -> str:
    return json.dumps(plain_data(describe(solver)))


@pytest.mark.parametrize("name", MAKE)
def test_another_setting_is_told_and_the_same_is_the_same(name: str) -> None:
    make = MAKE[name]
    assert told(make(0.3)) == told(make(0.3))
    assert told(make(0.3)) != told(make(0.5))


def test_what_cannot_be_described_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be described, so a run could not be resumed"):
        plain_data({"a": object()})


def test_what_holds_itself_is_described() -> None:
    fade = Fade(1.0)
    fade.itself = fade
    assert "above" in json.dumps(plain_data(fade))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64, torch.bool, torch.int64])
def test_weights_of_any_kind_have_a_digest(dtype: torch.dtype) -> None:
    module = nn.Module()
    module.register_buffer("a", torch.ones(3, dtype=dtype))
    before = weights_digest(module)
    module.a[1] = 0
    assert weights_digest(module) != before
