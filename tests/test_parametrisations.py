"""Denoisers that predict the noise, the image or the velocity: laws of all three, weights of their losses."""

import pytest
import torch
from helpers import tiny_prior
from torch import Tensor

from lightning_inv.denoisers import (
    Denoiser,
    EpsilonDenoiser,
    ImageDenoiser,
    NetworkDenoiser,
    SizedDenoiser,
    VelocityDenoiser,
)
from lightning_inv.modules import MinSNR
from lightning_inv.networks import Network, TinyNetwork, ZeroNetwork
from lightning_inv.schedules import CosineSchedule, Schedule

KINDS = [EpsilonDenoiser, ImageDenoiser, VelocityDenoiser]
SHAPE, TIMES = (1, 5, 7), torch.tensor([1, 50, 400, 990])
of_each = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def noisy(schedule: Schedule) -> tuple[Tensor, Tensor, Tensor]:
    """Images, noise, and both together at each time."""
    x, eps = torch.randn(2, len(TIMES), *SHAPE).unbind()
    alpha_t, sigma_t = schedule(TIMES)
    return x, eps, alpha_t * x + sigma_t * eps


class Told(Network):
    """Returns what it was told, whatever it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.output: Tensor | None = None

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return self.output


@of_each
def test_from_the_exact_prediction_follow_image_and_noise(kind: type[NetworkDenoiser]) -> None:
    denoiser = kind(Told(), SHAPE, CosineSchedule())
    x, eps, x_t = noisy(denoiser.schedule)
    denoiser.network.output = denoiser.target(x, eps, TIMES)
    estimate = denoiser(x_t, TIMES)
    torch.testing.assert_close(estimate.x, x, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(estimate.eps, eps, atol=1e-3, rtol=1e-3)


@of_each
def test_the_exact_prediction_has_no_loss(kind: type[NetworkDenoiser]) -> None:
    denoiser = kind(Told(), SHAPE)
    x, eps, _ = noisy(denoiser.schedule)
    denoiser.network.output = denoiser.target(x, eps, TIMES)
    assert not denoiser.loss(x, TIMES, eps).any()


@of_each
def test_the_scale_relates_the_loss_to_the_error_of_the_image(kind: type[NetworkDenoiser]) -> None:
    denoiser = kind(Told(), SHAPE)
    x, eps, x_t = noisy(denoiser.schedule)
    denoiser.network.output = denoiser.target(x, eps, TIMES) + torch.randn_like(x)
    error = (denoiser(x_t, TIMES).x - x).square().flatten(1).mean(1)
    expected = denoiser.scale(TIMES).flatten() * error
    torch.testing.assert_close(denoiser.loss(x, TIMES, eps), expected, rtol=1e-3, atol=0)


@of_each
def test_the_weight_of_the_error_of_the_image_is_the_clipped_ratio(kind: type[NetworkDenoiser]) -> None:
    """Whatever is predicted."""
    denoiser = kind(ZeroNetwork(), SHAPE)
    alpha_t, sigma_t = (scale.flatten() for scale in denoiser.schedule(TIMES))
    found = MinSNR(3.0)(denoiser, TIMES) * denoiser.scale(TIMES).flatten()
    torch.testing.assert_close(found, ((alpha_t / sigma_t) ** 2).clamp(max=3.0))


def test_the_weights_are_clipped_at_some_times_and_not_at_others() -> None:
    found = MinSNR(3.0)(ImageDenoiser(ZeroNetwork(), SHAPE), TIMES)
    assert (found == 3).tolist() == [True, True, False, False]


@pytest.mark.parametrize("gamma", [0.0, -1.0])
def test_a_ratio_that_is_not_positive_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match=f"gamma must be positive, got {gamma}"):
        MinSNR(gamma)


# Shapes


@of_each
def test_a_denoiser_of_any_size_takes_any_size(kind: type[NetworkDenoiser]) -> None:
    denoiser = kind(TinyNetwork(), (1, None, None))
    for side in (1, 8):
        assert denoiser(torch.zeros(2, 1, side, 9), torch.tensor(5)).x.shape == (2, 1, side, 9)


@pytest.mark.parametrize(
    ("own", "shape", "fits"),
    [
        ((1, 8, 8), (1, 8, 8), True),
        ((1, 8, 8), (1, 8, 9), False),
        ((1, 8, 8), (3, 8, 8), False),
        ((1, 8, 8), (8, 8), False),
        ((3, None, None), (3, 5, 900), True),
        ((3, None, None), (1, 5, 9), False),
        ((3, None, None), (3, 5), False),
    ],
)
def test_a_denoiser_fits_images_of_its_shape(own: tuple, shape: tuple, fits: bool) -> None:
    assert tiny_prior(own).fits(shape) is fits


@pytest.mark.parametrize("shape", [(1, None, 8), (1, 8, None), (None, 8, 8), (1, 8), (1, 0, 8), (0, 8, 8)])
def test_what_is_no_shape_is_refused(shape: tuple) -> None:
    with pytest.raises(ValueError, match="shape must be"):
        EpsilonDenoiser(TinyNetwork(), shape)


def test_a_sized_denoiser_says_the_same() -> None:
    prior, x_t = tiny_prior((1, None, None)), torch.randn(2, 1, 5, 6)
    sized = SizedDenoiser(prior, (1, 5, 6))
    assert sized.shape == (1, 5, 6)
    torch.testing.assert_close(sized(x_t, torch.tensor(9)), prior(x_t, torch.tensor(9)), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("prior", "shape", "message"),
    [
        (tiny_prior((1, 8, 8)), (1, 9, 9), r"of shape \(1, 8, 8\) \(C, H, W\), got shape \(1, 9, 9\)"),
        (tiny_prior((3, None, None)), (1, 9, 9), r"of 3 channels and any size, got shape \(1, 9, 9\)"),
        (tiny_prior((1, None, None)), (3, 9, 9), r"of 1 channel and any size, got shape \(3, 9, 9\)"),
    ],
)
def test_a_size_that_is_not_that_of_the_prior_is_refused(
    prior: Denoiser, shape: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SizedDenoiser(prior, shape)
