"""Mean and variance do not depend on who has seen which samples."""

import functools
import operator

import pytest
import torch

from lightning_inv.moments import Moments


@pytest.mark.parametrize("sizes", [(10,), (1,) * 10, (9, 1), (1, 9), (3, 3, 4), (2, 5, 1, 2)], ids=str)
@pytest.mark.parametrize("shift", [0.0, 1e6], ids=["near 0", "far from 0"])
def test_moments_are_those_of_all_samples(sizes: tuple[int, ...], shift: float) -> None:
    samples = shift + torch.randn(10, 2, 3, dtype=torch.float64)
    found = functools.reduce(operator.add, map(Moments.of, samples.split(list(sizes))))
    assert found.count == 10
    torch.testing.assert_close(found.mean, samples.mean(0))
    torch.testing.assert_close(found.variance, samples.var(0), rtol=1e-9, atol=0)


def test_the_variance_of_one_sample_is_no_number() -> None:
    assert Moments.of(torch.zeros(1, 2)).variance.isnan().all()


def test_samples_of_single_precision_far_from_0_have_the_variance_of_their_numbers() -> None:
    samples = 1e4 + torch.randn(10, 2, 3)
    found = functools.reduce(operator.add, map(Moments.of, samples.split(3)))
    torch.testing.assert_close(found.variance, samples.double().var(0), rtol=1e-9, atol=0)
