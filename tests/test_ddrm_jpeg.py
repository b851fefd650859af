"""DDRM for JPEG: its affine oracle, and what it does with a perfect estimate."""

import math
from itertools import pairwise

import pytest
import torch
from conftest import SHAPE

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate, GaussianDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import JPEG, Coding, Identity, Quantization
from lightning_inv.schedules import LinearSchedule, time_grid
from lightning_inv.solvers import DDRMJPEG, Problem

MEAN, VAR, COUNT = 0.1, 0.25, 128


class Lossless(Coding):
    """A(x) = x / 2, so that each step is affine."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


class Knowing(Denoiser):
    """Knows the image."""

    def __init__(self, x: torch.Tensor) -> None:
        super().__init__()
        self.x, self.shape, self.schedule = x, tuple(x.shape[1:]), LinearSchedule()

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None = None) -> Estimate:
        return self.from_x(self.x, x_t, t)


def problem_of(prior: Denoiser, y: torch.Tensor, operator: Coding) -> Problem:
    rng = NoiseStream.of(0, range(len(y)), "solver")
    return Problem(y, Measurement(operator), prior, rng)


@pytest.mark.parametrize(
    ("eta", "eta_b", "steps"), [(1.0, 0.4, 20), (0.5, 0.4, 20), (0.0, 1.0, 7), (0.8, 0.0, 30)]
)
def test_it_is_its_affine_oracle(eta: float, eta_b: float, steps: int) -> None:
    prior = GaussianDenoiser(torch.full(SHAPE, MEAN), VAR * torch.eye(192))
    solver, y = DDRMJPEG(steps, eta=eta, eta_b=eta_b), 0.5
    schedule = prior.schedule
    scale = [(float(schedule.alpha[t]), float(schedule.sigma[t])) for t in time_grid(steps, 300)]
    alpha, sigma = scale[0]
    mean, var = alpha * y, sigma**2
    for (a, sig), (a_s, sig_s) in pairwise(scale):
        gain = a * VAR / (a * a * VAR + sig * sig)  # of the estimate, whose offset is MEAN (1 - a gain)
        weight = eta_b / 2 + 1 - eta_b  # of x_hat in the mixture of x_hat - x_hat / 2 + y and x_hat
        kept = math.sqrt(1 - eta**2) * sig_s / sig
        slope = a_s * weight * gain + kept * (1 - a * gain)
        rest = (a_s * weight - kept * a) * MEAN * (1 - a * gain) + a_s * eta_b * y
        mean, var = slope * mean + rest, slope**2 * var + (eta * sig_s) ** 2
    x = solver(problem_of(prior, torch.full((COUNT, *SHAPE), y), Lossless())).double()
    std = math.sqrt(var)
    assert float(x.mean()) == pytest.approx(mean, abs=4 * std / math.sqrt(COUNT * 192) + 1e-4)
    assert float(x.std()) == pytest.approx(std, rel=0.03, abs=1e-4)


@pytest.mark.parametrize("operator", [JPEG(20), Quantization(2)], ids=lambda A: type(A).__name__)
def test_a_perfect_estimate_is_returned(operator: Coding) -> None:
    x = torch.rand(2, 3, 16, 16) - 0.5
    restored = DDRMJPEG(5)(problem_of(Knowing(x), operator(x), operator))
    torch.testing.assert_close(restored, x, atol=1e-5, rtol=0)


def test_it_starts_where_the_official_code_does() -> None:
    """Times 285, 270, ..., 0, which count from 0."""
    prior = Knowing(torch.zeros(1, *SHAPE))
    assert DDRMJPEG().times(prior).tolist() == [*range(286, 0, -15), 0]


def test_other_operators_are_refused() -> None:
    with pytest.raises(
        TypeError, match=r"DDRMJPEG needs an operator that codes images.*, got Identity; .*DDRM"
    ):
        DDRMJPEG().check(Knowing(torch.zeros(1, *SHAPE)), Measurement(Identity()))


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (DDRMJPEG(eta=1.5), r"eta must be in \[0, 1\], got 1.5"),
        (DDRMJPEG(eta_b=-1.0), r"eta_b must be in \[0, 1\], got -1.0"),
        (DDRMJPEG(first=5), r"first must be in \[steps, T\] = \[20, 1000\], got 5"),
    ],
    ids=repr,
)
def test_settings_out_of_range_are_refused(solver: DDRMJPEG, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        solver.check(Knowing(torch.zeros(1, *SHAPE)), Measurement(JPEG()))
