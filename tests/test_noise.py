"""Random numbers belong to an image."""

import pytest
import torch

from lightning_inv.noise import NoiseStream


def test_an_image_draws_the_same_in_any_batch() -> None:
    together, alone = NoiseStream.of(0, [3, 8, 5], "x"), NoiseStream.of(0, [5], "x")
    for _ in range(2):
        assert torch.equal(together.normal((2, 3))[2:], alone.normal((2, 3)))


@pytest.mark.parametrize(
    "other",
    [
        NoiseStream.of(1, [0], "x"),
        NoiseStream.of(0, [1], "x"),
        NoiseStream.of(0, [0], "y"),
        NoiseStream.of(0, [0], "x", sample=1),
    ],
    ids=["seed", "index", "purpose", "sample"],
)
def test_every_part_of_the_key_matters(other: NoiseStream) -> None:
    assert not torch.equal(NoiseStream.of(0, [0], "x").normal((4,)), other.normal((4,)))


def test_draws_go_on() -> None:
    stream = NoiseStream.of(0, [0], "x")
    assert not torch.equal(stream.normal((4,)), stream.normal((4,)))


def test_draws_are_standard() -> None:
    stream = NoiseStream.of(0, range(10), "x")
    normal, uniform = stream.normal((10000,)), stream.uniform((10000,))
    assert normal.mean().item() == pytest.approx(0, abs=0.015)
    assert normal.std().item() == pytest.approx(1, abs=0.015)
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.01)
    assert 0 <= uniform.min() <= uniform.max() < 1
