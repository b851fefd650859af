"""Measures of samples against closed forms: whoever draws the truth, too, is right, and nobody else."""

import math

import pytest
import torch
from torch import Tensor

from lightning_inv.posterior_metrics import (
    coverage,
    crps,
    energy_score,
    nominal_coverage,
    skill,
    spread,
    spread_skill,
)

SHAPE = (16, 3, 40, 40)


def drawn(count: int, bias: float = 0.0, width: float = 1.0) -> tuple[Tensor, Tensor]:
    """Samples and truth around means of their own, with a deviation of 0.2; the samples' may be off."""
    rng = torch.Generator().manual_seed(0)
    mean, truth = torch.randn(*SHAPE, generator=rng), torch.randn(*SHAPE, generator=rng)
    samples = torch.randn(count, *SHAPE, generator=rng)
    return mean + 0.2 * (bias + width * samples), mean + 0.2 * truth


def ratio(samples: Tensor, truth: Tensor) -> float:
    return spread_skill(spread(samples).tolist(), skill(samples, truth).tolist(), len(samples))


@pytest.mark.parametrize("count", [2, 5, 19, 30])
def test_samples_of_the_posterior_have_ratio_1_and_the_nominal_coverage(count: int) -> None:
    samples, truth = drawn(count)
    assert ratio(samples, truth) == pytest.approx(1, abs=0.01)
    assert coverage(samples, truth).mean() == pytest.approx(nominal_coverage(count), abs=0.006)


@pytest.mark.parametrize(("count", "nominal"), [(2, 1 / 3), (8, 7 / 9), (19, 0.9), (30, 0.9), (39, 0.9)])
def test_nominal_coverage_is_that_of_the_extremes_at_most(count: int, nominal: float) -> None:
    assert nominal_coverage(count) == pytest.approx(nominal)


@pytest.mark.parametrize("off", [{"bias": 1.0}, {"width": 0.5}], ids=["biased", "narrow"])
def test_other_samples_are_found_out(off: dict[str, float]) -> None:
    samples, truth = drawn(19, **off)
    right, _ = drawn(19)
    assert ratio(samples, truth) < 0.8
    assert coverage(samples, truth).mean() < 0.8
    for score in (crps, energy_score):
        assert score(samples, truth).mean() > 1.05 * score(right, truth).mean()


@pytest.mark.parametrize("count", [2, 3, 20])
def test_crps_is_that_of_a_gaussian_whatever_the_count(count: int) -> None:
    """The mean over truth of the score of N(m, s^2) for a truth of N(m, s^2) is s / sqrt(pi)."""
    samples, truth = drawn(count)
    assert crps(samples, truth).mean() == pytest.approx(0.2 / math.sqrt(math.pi), rel=0.01)


def test_crps_of_a_single_value_is_the_known_formula() -> None:
    """It is s (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)), for z = 1.5, s = 2."""
    z, s = torch.tensor(1.5, dtype=torch.double), 2.0
    samples = s * torch.randn(20001, 1, 1, 4, 4, dtype=torch.double)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    expected = s * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))
    found = crps(samples, torch.full((1, 1, 4, 4), s * float(z), dtype=torch.double))
    assert found.item() == pytest.approx(float(expected), rel=0.01)


def test_scores_are_the_sums_over_pairs() -> None:
    samples, truth = torch.randn(5, 2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    apart = samples[:, None] - samples[None]
    each = (samples - truth).abs().mean(0) - apart.abs().sum((0, 1)) / (2 * 5 * 4)
    torch.testing.assert_close(crps(samples, truth), each.mean((1, 2, 3)))
    norm = lambda x: x.square().mean((-3, -2, -1)).sqrt()  # noqa: E731
    each = norm(samples - truth).mean(0) - norm(apart).sum((0, 1)) / (2 * 5 * 4)
    torch.testing.assert_close(energy_score(samples, truth), each)


def test_energy_score_sees_that_pixels_do_not_vary_together() -> None:
    """Truth and samples have the same deviations, but the truth is flat."""
    rng = torch.Generator().manual_seed(0)
    truth = torch.randn(400, 1, 1, 1, generator=rng).expand(400, 1, 8, 8)
    flat = torch.randn(9, 400, 1, 1, 1, generator=rng).expand(9, 400, 1, 8, 8)
    rough = torch.randn(9, 400, 1, 8, 8, generator=rng)
    assert crps(rough, truth).mean() == pytest.approx(float(crps(flat, truth).mean()), rel=0.1)
    assert energy_score(rough, truth).mean() > 1.1 * energy_score(flat, truth).mean()


@pytest.mark.parametrize("measure", [lambda s, x: spread(s), skill, coverage, crps, energy_score])
def test_an_image_does_not_depend_on_its_batch(measure: object) -> None:
    samples, truth = drawn(4)
    singles = torch.cat([measure(samples[:, b : b + 1], truth[b : b + 1]) for b in range(3)])
    torch.testing.assert_close(measure(samples[:, :3], truth[:3]), singles)


def test_a_perfect_mean_has_no_ratio() -> None:
    assert spread_skill([0.0], [0.0], 3) is None
