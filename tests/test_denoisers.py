"""Exact denoisers against dense algebra; laws of all denoisers."""

import pytest
import torch
from conftest import random_covariance
from torch import Tensor

from lightning_inv.denoisers import (
    Denoiser,
    EpsilonDenoiser,
    GaussianDenoiser,
    ImageDenoiser,
    MeteredDenoiser,
    MixtureDenoiser,
    SizedDenoiser,
    StationaryDenoiser,
    TiledDenoiser,
    VelocityDenoiser,
)
from lightning_inv.networks import TinyNetwork, ZeroNetwork

SHAPE, N = (1, 3, 4), 12


def gaussian(seed: int = 0) -> GaussianDenoiser:
    mean = torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed + 100))
    return GaussianDenoiser(mean, random_covariance(N, seed))


def mixture() -> MixtureDenoiser:
    return MixtureDenoiser(torch.tensor([0.3, 0.7]), [gaussian(0), gaussian(1)])


DENOISERS = [
    gaussian(),
    mixture(),
    StationaryDenoiser(torch.tensor([0.3]), 1 + torch.rand(3, 4, 1, 1)),
    EpsilonDenoiser(TinyNetwork(), SHAPE),
    ImageDenoiser(TinyNetwork(), SHAPE),
    VelocityDenoiser(TinyNetwork(), SHAPE),
    SizedDenoiser(VelocityDenoiser(TinyNetwork(), (1, None, None)), SHAPE),
    TiledDenoiser(EpsilonDenoiser(TinyNetwork(), (1, None, None)), tile=2, overlap=1),
    MeteredDenoiser(gaussian()),
]


@pytest.mark.parametrize("denoiser", DENOISERS, ids=lambda d: type(d).__name__)
def test_image_and_noise_add_up(denoiser: Denoiser) -> None:
    x_t, t = torch.randn(5, *SHAPE), torch.tensor([1, 10, 300, 700, 1000])
    alpha_t, sigma_t = denoiser.schedule(t)
    estimate = denoiser(x_t, t)
    torch.testing.assert_close(alpha_t * estimate.x + sigma_t * estimate.eps, x_t, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("denoiser", DENOISERS, ids=lambda d: type(d).__name__)
def test_one_time_equals_the_same_time_for_each(denoiser: Denoiser) -> None:
    x_t = torch.randn(3, *SHAPE)
    one, each = denoiser(x_t, torch.tensor(400)), denoiser(x_t, torch.full((3,), 400))
    torch.testing.assert_close(one.x, each.x)


@pytest.mark.parametrize("t", [1, 50, 500, 1000])
def test_gaussian_denoiser_is_the_conditional_mean(t: int) -> None:
    denoiser, x_t = gaussian(), torch.randn(4, *SHAPE)
    C, m = random_covariance(N).double(), denoiser.mean.flatten().double()
    a, s = (float(scale) for scale in denoiser.schedule(torch.tensor(t)))
    gain = a * C @ torch.linalg.inv(a**2 * C + s**2 * torch.eye(N))
    expected = m + (x_t.flatten(1).double() - a * m) @ gain.mT
    torch.testing.assert_close(
        denoiser(x_t, torch.tensor(t)).x.flatten(1), expected.float(), atol=1e-4, rtol=1e-4
    )


def log_mixture(x: Tensor, a: float, s: float) -> Tensor:
    """Log p(x_t) of the mixture, by torch.distributions."""
    parts = []
    for seed in (0, 1):
        mean, covariance = a * gaussian(seed).mean.flatten(), a**2 * random_covariance(N, seed)
        law = torch.distributions.MultivariateNormal(
            mean.double(), covariance.double() + s**2 * torch.eye(N).double()
        )
        parts.append(law.log_prob(x.flatten(1).double()))
    return torch.logsumexp(torch.stack(parts) + torch.tensor([[0.3], [0.7]]).log(), 0)


@pytest.mark.parametrize("t", [20, 300, 900])
def test_mixture_denoiser_is_the_score(t: int) -> None:
    """E[eps | x_t] = -sigma_t grad log p(x_t) (Tweedie)."""
    denoiser, x_t = mixture(), torch.randn(4, *SHAPE).requires_grad_()
    a, s = (float(scale) for scale in denoiser.schedule(torch.tensor(t)))
    (score,) = torch.autograd.grad(log_mixture(x_t, a, s).sum(), x_t)
    eps = denoiser(x_t.detach(), torch.tensor(t)).eps
    torch.testing.assert_close(eps, -s * score, atol=1e-3, rtol=1e-3)


def test_network_is_given_the_time_from_zero() -> None:
    seen = []

    class Spy(ZeroNetwork):
        def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
            seen.extend(t.tolist())
            return super().forward(x, t, label)

    EpsilonDenoiser(Spy(), SHAPE)(torch.zeros(2, *SHAPE), torch.tensor([1, 1000]))
    assert seen == [0, 999]


def test_learned_variance_is_left_aside() -> None:
    denoiser = EpsilonDenoiser(ZeroNetwork(2), SHAPE)
    assert denoiser(torch.ones(1, *SHAPE), torch.tensor(5)).eps.shape == (1, *SHAPE)


def test_too_few_channels_are_refused() -> None:
    """They would broadcast."""
    denoiser = EpsilonDenoiser(TinyNetwork(1), (3, 8, 8))
    with pytest.raises(ValueError, match="at least 3 channels, those of an image, got 1"):
        denoiser(torch.zeros(2, 1, 8, 8), torch.tensor(5))


def test_loss_of_a_blind_network_is_the_variance_of_the_noise() -> None:
    denoiser, eps = EpsilonDenoiser(ZeroNetwork(), SHAPE), torch.randn(3, *SHAPE)
    loss = denoiser.loss(torch.zeros(3, *SHAPE), torch.tensor([1, 2, 3]), eps)
    torch.testing.assert_close(loss, eps.square().flatten(1).mean(1))


def test_meter_counts_forward_and_backward() -> None:
    metered = MeteredDenoiser(gaussian())
    x_t = torch.randn(2, *SHAPE, requires_grad=True)
    metered(x_t, torch.tensor(10)).x.sum().backward()
    with torch.no_grad():
        metered(x_t, torch.tensor(10))
    assert (metered.forward_calls, metered.backward_calls, metered.evaluations) == (2, 1, 3)


def test_low_precision_stays_inside_the_network() -> None:
    class Seen(TinyNetwork):
        def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
            out = super().forward(x, t, label)
            assert out.dtype == torch.bfloat16
            return out

    metered = MeteredDenoiser(EpsilonDenoiser(Seen(), SHAPE), torch.bfloat16)
    estimate = metered(torch.randn(1, *SHAPE), torch.tensor(10))
    assert estimate.x.dtype == estimate.eps.dtype == torch.float32


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (torch.eye(5), "covariance"),
        (torch.eye(N) + torch.triu(torch.ones(N, N)), "symmetric"),
        (-torch.eye(N), "positive semi-definite"),
    ],
    ids=["size", "asymmetric", "negative"],
)
def test_impossible_covariance_is_refused(covariance: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianDenoiser(torch.zeros(SHAPE), covariance)
