"""Exact posteriors, against importance sampling and against Bayes' rule by hand."""

import pytest
import torch
from conftest import random_covariance

from lightning_inv.denoisers import GaussianDenoiser, MixtureDenoiser
from lightning_inv.noise import NoiseStream, generator
from lightning_inv.posteriors import Posterior, exact_posterior

SHAPE, N = (2, 1, 2), 4


def gaussian(seed: int) -> GaussianDenoiser:
    mean = torch.randn(SHAPE, generator=generator("mean", seed))
    return GaussianDenoiser(mean, (1 + 4 * seed) * random_covariance(N, seed))


def mixture() -> MixtureDenoiser:
    return MixtureDenoiser(torch.tensor([0.3, 0.7]), [gaussian(0), gaussian(1)])


def test_one_pixel_is_bayes_rule() -> None:
    v, m, h, sigma, y = 0.25, 0.1, 0.5, 0.3, 0.8
    prior = GaussianDenoiser(torch.full((1, 1, 1), m), torch.tensor([[v]]))
    found = exact_posterior(prior, torch.tensor([[h]]), torch.tensor([y]), sigma)
    P = 1 / (1 / v + h * h / sigma**2)
    assert float(found.covariance) == pytest.approx(P)
    assert float(found.mean) == pytest.approx(P * (m / v + h * y / sigma**2))


@pytest.mark.parametrize("kind", ["gaussian", "mixture"])
def test_moments_are_those_of_importance_sampling(kind: str) -> None:
    prior = mixture() if kind == "mixture" else gaussian(0)
    A, y, sigma = torch.randn(2, N, generator=generator("A")), torch.tensor([0.4, -0.2]), 0.4
    parts = list(prior.components) if kind == "mixture" else [prior]
    weights = prior.weights if kind == "mixture" else torch.ones(1, dtype=torch.double)
    draws = [
        Posterior(
            torch.ones(1), p.mean.double().flatten()[None], ((p.basis * p.variances) @ p.basis.mT)[None]
        )
        for p in parts
    ]
    x = [draw.sample(NoiseStream.of(k, range(20000), "x")) for k, draw in enumerate(draws)]
    likelihood = [(-((y - one @ A.double().mT).square().sum(1)) / (2 * sigma**2)).exp() for one in x]
    w = torch.cat([weight * part for weight, part in zip(weights, likelihood, strict=True)])
    w, x = w / w.sum(), torch.cat(x)
    mean = w @ x
    found = exact_posterior(prior, A, y, sigma)
    error = (w.square() @ (x - mean).square()).sqrt()
    assert ((found.mean - mean).abs() < 4 * error).all()
    assert error.max() < 0.05
    covariance = (x - mean).mT @ (w[:, None] * (x - mean))
    torch.testing.assert_close(found.covariance, covariance, atol=4 * float(error.max()), rtol=0)


def test_without_noise_samples_explain_y_exactly() -> None:
    A, y = torch.randn(2, N, generator=generator("A")), torch.tensor([0.4, -0.2])
    x = exact_posterior(mixture(), A, y, 0.0).sample(NoiseStream.of(0, range(50), "x"))
    torch.testing.assert_close(x @ A.double().mT, y.double().expand(50, 2), atol=1e-6, rtol=0)
    assert x.std(0).min() > 0.1


def test_samples_have_the_moments() -> None:
    found = exact_posterior(mixture(), torch.randn(1, N), torch.tensor([0.1]), 0.5)
    x = found.sample(NoiseStream.of(0, range(20000), "x"))
    size = float(found.covariance.abs().max())
    torch.testing.assert_close(x.mean(0), found.mean, atol=4 * (size / 20000) ** 0.5, rtol=0)
    torch.testing.assert_close(x.mT.cov(), found.covariance, atol=0.05 * size, rtol=0)


def test_without_noise_a_component_that_cannot_give_y_has_no_weight() -> None:
    flat, wide = (GaussianDenoiser(torch.zeros(1, 1, 1), torch.tensor([[v]])) for v in (0.0, 1.0))
    prior = MixtureDenoiser(torch.tensor([0.5, 0.5]), [flat, wide])
    A, y = torch.ones(1, 1), torch.tensor([0.8])
    assert exact_posterior(prior, A, y, 0.0).weights.tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="no image of this prior gives this y"):
        exact_posterior(flat, A, y, 0.0)
