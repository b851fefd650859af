"""The measurement and its energy."""

import pytest
import torch
from conftest import SHAPE, images

from lightning_inv.constraints import Measurement
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import BlockAverage, Grayscale, HighDynamicRange, Identity, Inpainting, Operator

OPERATORS = [Identity(), Inpainting(), BlockAverage(4), Grayscale(), HighDynamicRange()]


def stream(count: int) -> NoiseStream:
    return NoiseStream.of(0, range(count), "measurement")


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda A: type(A).__name__)
@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_noise_has_the_declared_size_where_something_is_seen(operator: Operator, sigma: float) -> None:
    measurement = Measurement(operator, sigma).prepare(images(400))
    x = torch.rand(400, *SHAPE) - 0.5
    y = measurement.observe(x, stream(400))
    found = measurement.residual(x, y).square().sum() / measurement.operator.observed(y).expand_as(y).sum()
    assert float(found.sqrt()) == pytest.approx(sigma, rel=0.03)
    assert float(measurement.consistency(x, y).square().mean()) == pytest.approx(float(sigma > 0), rel=0.05)


def test_energy_is_half_the_squared_distance_summed() -> None:
    measurement = Measurement(BlockAverage(4), 0.3).prepare(images(4))
    x, y = torch.randn(4, *SHAPE), torch.randn(4, 3, 2, 2)
    expected = (y - measurement.operator(x)).square().flatten(1).sum(1) / 2
    torch.testing.assert_close(measurement(x, y), expected)


def test_hidden_pixels_cost_nothing() -> None:
    measurement = Measurement(Inpainting(), 0.1).prepare(images(2))
    x, y = torch.randn(2, *SHAPE), torch.randn(2, *SHAPE)
    hidden = 1 - measurement.operator.s
    torch.testing.assert_close(measurement(x, y), measurement(x + 5 * hidden, y - 7 * hidden))


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf")])
def test_impossible_noise_is_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma must be a number of at least 0"):
        Measurement(Identity(), sigma)
