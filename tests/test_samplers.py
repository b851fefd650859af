"""Samplers that know of y: what they cost, where they agree, and what sets them apart."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from conftest import random_covariance
from families import SPECTRAL
from helpers import tiny_prior
from small_solvers import SOLVERS
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate, GaussianDenoiser, MeteredDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import DenseMatrix, HighDynamicRange, Identity, Images, LinearOperator
from lightning_inv.schedules import LinearSchedule
from lightning_inv.solvers import (
    DAPS,
    DDNM,
    DPS,
    MCG,
    MMPS,
    TDS,
    ExactGuidance,
    PiGDM,
    Problem,
    RePaint,
    Solver,
    TimeTravel,
)
from lightning_inv.solvers.jacobian import linearized
from lightning_inv.solvers.repaint import replaced
from lightning_inv.solvers.sampler import noised
from lightning_inv.solvers.tds import one_of, weights

SHAPE, N = (1, 3, 4), 12
ROWS = torch.randn(5, N) / N**0.5


def stream(count: int, purpose: str = "solver") -> NoiseStream:
    return NoiseStream.of(0, range(count), purpose)


def problem_of(prior: Denoiser, rows: Tensor = ROWS, sigma: float = 0.1, count: int = 4) -> Problem:
    operator = DenseMatrix(rows.tolist()).prepare(Images(prior.shape, ["x"] * count, stream(count)))
    y = torch.linspace(-0.5, 0.7, len(rows)).expand(count, -1)
    return Problem(y, Measurement(operator, sigma), prior, stream(count))


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.5])
def test_moments_are_all_there_is_to_a_gaussian(sigma: float) -> None:
    """With enough steps of conjugate gradients MMPS is exact, noise for noise."""
    prior = GaussianDenoiser(0.5 * torch.ones(SHAPE), random_covariance(N))
    mine, exact = (solver(problem_of(prior, sigma=sigma)) for solver in (MMPS(20, 6), ExactGuidance(20)))
    torch.testing.assert_close(mine, exact, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.5])
def test_pigdm_is_exact_for_white_noise(sigma: float) -> None:
    prior = GaussianDenoiser(0.5 * torch.ones(SHAPE), torch.eye(N))
    mine, exact = (
        solver(problem_of(prior, sigma=sigma)) for solver in (PiGDM(20, exact=True), ExactGuidance(20))
    )
    torch.testing.assert_close(mine, exact, atol=1e-3, rtol=1e-3)


def test_the_isotropic_inverse_makes_one_step_of_conjugate_gradients_enough() -> None:
    prior = GaussianDenoiser(0.5 * torch.ones(SHAPE), torch.eye(N))
    one, many = (MMPS(20, iterations)(problem_of(prior)) for iterations in (1, 6))
    torch.testing.assert_close(one, many, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("solver", [MCG(5), RePaint(5, travel=None), DDNM(5)], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("name", SPECTRAL)
def test_what_is_known_without_noise_is_met(solver: Solver, name: str) -> None:
    case = SPECTRAL[name]
    operator, prior = case.prepare(), tiny_prior(case.shape)
    y = operator(torch.rand(4, *case.shape))
    x = solver(Problem(y, Measurement(operator), prior, stream(4)))
    torch.testing.assert_close(operator(x), y, atol=2e-3, rtol=1e-3)


COSTS = {
    "DDNM": (10, 0),
    "DDNM, time travel": (14, 0),
    "DDNM+": (10, 0),
    "RePaint": (12, 0),
    "DPS": (20, 20),
    "MCG": (20, 20),
    "PiGDM": (10, 10),
    "MMPS": (10, 30),
    "DiffPIR": (10, 0),
    "DAPS": (15, 0),
    "TDS": (30, 60),
    "SDS": (20, 0),
}


@pytest.mark.parametrize("name", COSTS)
def test_evaluations_are_those_of_the_method(name: str) -> None:
    metered = MeteredDenoiser(GaussianDenoiser(torch.zeros(SHAPE), 0.3 * torch.eye(N)))
    SOLVERS[name](problem_of(metered))
    assert (metered.forward_calls, metered.backward_calls) == COSTS[name]


def test_time_travel_walks_each_stretch_again() -> None:
    way = TimeTravel(2, 3).way([9, 7, 5, 3, 1, 0])
    assert way == [9, 7, 5, 9, 7, 5, 9, 7, 5, 3, 1, 5, 3, 1, 5, 3, 1, 0, 1, 0, 1, 0]
    assert sum(s < t for t, s in pairwise(way)) == 5 * 3
    assert TimeTravel(1, 1).way([5, 3, 0]) == [5, 3, 0]


def test_what_is_noised_again_has_the_noise_of_its_time() -> None:
    schedule, x, (t, s) = LinearSchedule(), torch.full((20000,), 0.4), torch.tensor([300, 400])
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(t), schedule(s)
    x_t = alpha_t * x + sigma_t * torch.randn_like(x)
    x_s = noised(schedule, x_t, t, s, torch.randn_like(x))
    assert float(x_s.mean()) == pytest.approx(float(0.4 * alpha_s), abs=0.03)
    assert float(x_s.std()) == pytest.approx(float(sigma_s), rel=0.02)


def test_what_is_seen_is_replaced_at_the_noise_of_its_time() -> None:
    """The noise that y has counts: with what is added it is sigma_s; where y is noisier, x_s is left."""
    prior, shape, sigma = GaussianDenoiser(torch.zeros(SHAPE), torch.eye(N)), (2000, *SHAPE), 0.5
    y = 0.4 + sigma * torch.randn(shape)
    problem = Problem(y, Measurement(Identity(), sigma), prior, stream(2000))
    for time in (100, 400, 700):
        alpha_s, sigma_s = prior.schedule(torch.tensor(time))
        own = torch.randn(shape)
        x_s = replaced(problem, own, torch.tensor(time))
        if time == 100:
            assert torch.equal(x_s, own)
            continue
        assert float(x_s.mean()) == pytest.approx(float(0.4 * alpha_s), abs=0.03)
        assert float(x_s.std()) == pytest.approx(float(sigma_s), rel=0.02)


def test_time_travel_keeps_the_prior_as_it_is() -> None:
    """Noised to t and denoised again with all times in between, x_s has the law that it had."""
    prior = GaussianDenoiser(torch.full(SHAPE, 0.3), 0.25 * torch.eye(N))
    problem = problem_of(prior, rows=1e-6 * ROWS, sigma=1.0, count=2000)
    drawn = ExactGuidance(100, eta=0.0, travel=TimeTravel(25, 2))(problem)
    assert float(drawn.mean()) == pytest.approx(0.3, abs=0.02)
    assert float(drawn.std()) == pytest.approx(0.5, rel=0.05)


def gain(solver: DPS, side: int) -> float:
    """How much of y is in the result, where each of the side^2 pixels is seen by itself."""
    shape = (1, side, side)
    prior = GaussianDenoiser(torch.zeros(shape), 0.25 * torch.eye(side**2))
    seen = Measurement(Identity(), 0.1)
    means = [
        float(solver(Problem(torch.full((16, *shape), y), seen, prior, stream(16))).mean())
        for y in (0.5, -0.5)
    ]
    return means[0] - means[1]


def test_zeta_of_dps_serves_other_sizes() -> None:
    """The pull of the same zeta shrinks as images grow; scaled by the entries measured, it does not."""
    scaled = [gain(DPS(50, 1.0, reference=64), side) for side in (4, 8, 16)]
    plain = [gain(DPS(50, 1.0, reference=None), side) for side in (4, 8, 16)]
    assert max(scaled) - min(scaled) < 0.05
    assert max(plain) - min(plain) > 0.2


class Hollow(Denoiser):
    """A network in 16 bits, which loses gradients below 6e-8."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule, self.shape = LinearSchedule(), SHAPE

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        return self.from_x(0.5 * x_t.half().float(), x_t, t)


def test_small_gradients_survive_a_network_in_16_bits() -> None:
    _, pull = linearized(problem_of(Hollow()), torch.ones(4, *SHAPE), torch.tensor(300))
    v = 1e-12 * torch.ones(4, *SHAPE)
    assert (pull(v) != 0).all()


@pytest.mark.parametrize("solver", [DAPS(inner="exact"), DAPS(langevin_steps=200, lr=0.02)], ids=repr)
def test_daps_draws_from_its_two_normal_distributions(solver: DAPS) -> None:
    """N(x_hat, r^2) times N(y; x, sigma^2), whose variances add up inversely."""
    prior, r, sigma = GaussianDenoiser(torch.zeros(SHAPE), torch.eye(N)), 0.8, 0.5
    x_hat, y = torch.full((2000, *SHAPE), 0.2), torch.full((2000, *SHAPE), 1.0)
    problem = Problem(y, Measurement(Identity(), sigma), prior, stream(2000))
    x = solver.drawn(problem, x_hat, torch.tensor(r), 0.0)
    variance = 1 / (1 / r**2 + 1 / sigma**2)
    assert float(x.mean()) == pytest.approx(variance * (0.2 / r**2 + 1.0 / sigma**2), abs=0.02)
    assert float(x.std()) == pytest.approx(variance**0.5, rel=0.06)


def test_pigdm_explains_what_is_not_linear() -> None:
    prior = GaussianDenoiser(torch.zeros(SHAPE), 0.25 * torch.eye(N))
    measurement, x = Measurement(HighDynamicRange(), 0.05), 0.5 * torch.randn(4, *SHAPE)
    y = measurement.observe(x, stream(4, "measurement"))
    restored = PiGDM(50)(Problem(y, measurement, prior, stream(4)))
    assert (measurement(restored, y) < 0.2 * measurement(torch.zeros_like(x), y)).all()


def test_particles_are_drawn_by_their_weights() -> None:
    """Systematic resampling takes one of weight w P w times, rounded down or up, and on average exactly."""
    weight = torch.tensor([0.5, 0.3, 0.15, 0.05])
    u = torch.linspace(0.0005, 0.9995, 1000)
    chosen, left = TDS(particles=4, threshold=1.0).chosen(weight.log()[:, None].expand(4, 1000), u)
    counts = torch.stack([(chosen == k).sum(0) for k in range(4)]).double()
    torch.testing.assert_close(counts.mean(1), 4 * weight.double(), atol=2e-3, rtol=0)
    assert ((counts - 4 * weight[:, None]).abs() < 1).all()
    assert (left == 0).all()
    images = torch.arange(4.0).view(4, 1, 1, 1, 1).expand(4, 1000, 1, 1, 1)
    shares = [
        (one_of(images, weight.log()[:, None].expand(4, 1000), u) == k).double().mean() for k in range(4)
    ]
    assert torch.stack(shares).tolist() == pytest.approx(weight.tolist(), abs=2e-3)


def test_particles_stay_while_many_carry_the_weight() -> None:
    weight = torch.tensor([0.3, 0.3, 0.2, 0.2]).log()[:, None]
    chosen, left = TDS(particles=4, threshold=0.5).chosen(weight, torch.tensor([0.9]))
    assert chosen.flatten().tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(left, weight)


def test_y_must_be_in_single_precision() -> None:
    problem = problem_of(GaussianDenoiser(torch.zeros(SHAPE), torch.eye(N)))
    with pytest.raises(TypeError, match="y must be in float32, got float64"):
        DDNM()(replace(problem, y=problem.y.double()))


def test_particles_whose_weight_is_no_number_are_left_out() -> None:
    found = weights(torch.tensor([[0.0, -5.0, torch.nan], [-torch.inf] * 3]).mT)
    torch.testing.assert_close(found[:, 0], torch.tensor([1.0, 0.0067, 0.0]), atol=0.01, rtol=0)
    torch.testing.assert_close(found[:, 1], torch.full((3,), 1 / 3))


class Opaque(LinearOperator):
    """A linear operator that hides its singular values."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ ROWS.mT

    def adjoint(self, y: Tensor) -> Tensor:
        return (y @ ROWS).view(-1, *SHAPE)


@pytest.mark.parametrize("name", ["PiGDM", "MMPS", "DiffPIR", "DAPS, exact", "DDNM", "TDS", "exact guidance"])
def test_singular_values_are_a_convenience(name: str) -> None:
    """Found by conjugate gradients, results are those of the factors; so often that both have converged."""
    settings = {"iterations": 8} if name in ("MMPS", "TDS") else {}
    solver = type(SOLVERS[name])(**{**vars(SOLVERS[name]), **settings})
    prior = GaussianDenoiser(0.5 * torch.ones(SHAPE), random_covariance(N))
    problem = problem_of(prior)
    hidden = Problem(problem.y, Measurement(Opaque(), 0.1), prior, stream(4))
    torch.testing.assert_close(solver(hidden), solver(problem), atol=2e-3, rtol=1e-3)
