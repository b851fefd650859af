"""The schedule of the learning rate."""

from collections.abc import Iterator

import pytest
import torch

from lightning_inv.modules import WarmupCosine


def rates(steps: int, warmup: int, floor: float, count: int) -> Iterator[float]:
    """The learning rates of the first steps, relative to the highest."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = WarmupCosine(optimizer, steps, warmup, floor)
    for _ in range(count):
        yield optimizer.param_groups[0]["lr"] / 2
        optimizer.step()
        schedule.step()


def test_the_learning_rate_grows_linearly_then_falls_along_a_cosine() -> None:
    expected = [
        0.25,
        0.5,
        0.75,
        1.0,
        1.0,
        0.1 + 0.9 * (1 + 0.5**0.5) / 2,
        0.55,
        0.1 + 0.9 * (1 - 0.5**0.5) / 2,
    ]
    assert list(rates(8, 4, 0.1, 8)) == pytest.approx(expected)


def test_the_learning_rate_stays_at_its_floor() -> None:
    assert list(rates(8, 4, 0.1, 12))[8:] == pytest.approx([0.1] * 4)


def test_without_warm_up_the_learning_rate_starts_at_its_highest() -> None:
    assert next(rates(8, 0, 0.1, 1)) == 1


@pytest.mark.parametrize("warmup", [-1, 8, 9])
def test_a_warm_up_as_long_as_the_training_is_refused(warmup: int) -> None:
    with pytest.raises(ValueError, match=rf"warmup must be in \[0, steps=8\), .* got {warmup}"):
        next(rates(8, warmup, 0.1, 1))
