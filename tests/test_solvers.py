"""With a Gaussian prior every step is affine: solvers against their own recursions, then against laws."""

import math
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from small_solvers import LINEAR, SOLVERS, UNMEASURED
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate, GaussianDenoiser, MeteredDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import HighDynamicRange, Identity, Images, Inpainting, SVDOperator
from lightning_inv.schedules import LinearSchedule
from lightning_inv.solvers import DDRM, PlugAndPlay, Problem, REDDiff, Solver, Unconditional
from lightning_inv.solvers.weightings import Weighting

MEAN, VAR, SHAPE = 0.1, 0.25, (1, 8, 8)
MANY = 256


class Scale(Identity):
    """A(x) = h x."""

    def __init__(self, h: float) -> None:
        super().__init__()
        self.s = torch.full((1, 1, 1, 1), h)


@pytest.fixture
def prior() -> GaussianDenoiser:
    return GaussianDenoiser(torch.full(SHAPE, MEAN), VAR * torch.eye(64))


def stream(count: int = MANY, first: int = 0, purpose: str = "solver") -> NoiseStream:
    return NoiseStream.of(0, range(first, first + count), purpose)


def solve(solver: Solver, prior: Denoiser, operator: SVDOperator, sigma: float, y: float) -> Tensor:
    """Many runs with the same y everywhere, so that every pixel is one sample."""
    values = torch.full((MANY, *SHAPE), y)
    return solver(Problem(values, Measurement(operator, sigma), prior, stream())).double()


def gain_and_std(solver: Solver, prior: Denoiser, h: float, sigma: float) -> tuple[float, float]:
    high, low = (solve(solver, prior, Scale(h), sigma, y) for y in (0.5, -0.5))
    return float(high.mean() - low.mean()), float(high.std())


@dataclass
class Affine:
    """gain y + offset + noise of variance var."""

    gain: float
    offset: float
    var: float

    def then(self, a: float, b: float = 0.0, c: float = 0.0, q: float = 0.0) -> "Affine":
        """A x + b y + c + noise of variance q."""
        return Affine(a * self.gain + b, a * self.offset + c, a * a * self.var + q)


def ddrm_oracle(h: float, sigma_y: float, steps: int, eta: float, eta_b: float) -> Affine:
    """The recursion of solvers in variance-exploding coordinates x_t / alpha_t, for one direction."""
    schedule = LinearSchedule()
    times = schedule.timesteps(steps).tolist()
    noise = [float(schedule.sigma[t].double() / schedule.alpha[t].double()) for t in times]
    level = sigma_y / h if h else math.inf
    seen = level < noise[0]
    x = Affine(1 / h if seen else 0.0, 0.0, noise[0] ** 2 - level**2 if seen else noise[0] ** 2)
    for sigma_t, sigma_s in pairwise(noise):
        shrink = VAR / (VAR + sigma_t**2)  # x_hat = shrink x_t + (1 - shrink) mean
        kept = math.sqrt(1 - eta**2) * sigma_s
        if not h:
            a = shrink + kept * (1 - shrink) / sigma_t
            x = x.then(a, c=(1 - shrink) * MEAN * (1 - kept / sigma_t), q=(eta * sigma_s) ** 2)
        elif sigma_s < level:
            r = kept / level
            x = x.then((1 - r) * shrink, r / h, (1 - r) * (1 - shrink) * MEAN, (eta * sigma_s) ** 2)
        else:
            q = max(sigma_s**2 - (eta_b * level) ** 2, 0)
            x = x.then((1 - eta_b) * shrink, eta_b / h, (1 - eta_b) * (1 - shrink) * MEAN, q)
    return x


@pytest.mark.parametrize(("eta", "eta_b"), [(0.85, 1.0), (1.0, 0.6), (0.0, 1.0)])
@pytest.mark.parametrize(("h", "sigma"), [(1.0, 0.1), (0.25, 0.1), (0.25, 0.5), (1.0, 0.0)])
def test_ddrm_is_its_affine_oracle(
    prior: GaussianDenoiser, h: float, sigma: float, eta: float, eta_b: float
) -> None:
    x = solve(DDRM(20, eta, eta_b), prior, Scale(h), sigma, 0.5)
    oracle = ddrm_oracle(h, sigma, 20, eta, eta_b)
    std = math.sqrt(oracle.var)
    assert float(x.mean()) == pytest.approx(
        oracle.gain * 0.5 + oracle.offset, abs=4 * std / math.sqrt(x.numel()) + 1e-3
    )
    assert float(x.std()) == pytest.approx(std, rel=0.03, abs=1e-3)


@pytest.mark.parametrize(
    ("h", "sigma", "gain", "std"),
    [(1.0, 0.1, 0.8952, 0.1223), (0.25, 0.1, 2.1769, 0.1918), (0.25, 0.5, 0.5880, 0.2451)],
)
def test_ddrm_oracle_has_the_recorded_values(h: float, sigma: float, gain: float, std: float) -> None:
    """Values that an independent simulation of the official code gave; the exact posterior has others."""
    oracle = ddrm_oracle(h, sigma, 20, 0.85, 1.0)
    assert (oracle.gain, math.sqrt(oracle.var)) == pytest.approx((gain, std), abs=6e-4)


def test_ddrm_draws_the_unseen_with_its_own_eta(prior: GaussianDenoiser) -> None:
    x = solve(DDRM(), prior, Scale(0.0), 0.1, 0.0)
    assert math.sqrt(ddrm_oracle(0.0, 0.1, 20, 0.85, 1.0).var) == pytest.approx(0.379, abs=1e-3)
    assert float(x.std()) == pytest.approx(0.379, rel=0.03)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.02)


@pytest.mark.parametrize(("eta", "steps", "std"), [(0.0, 20, 0.434), (0.0, 100, 0.486), (1.0, 20, 0.391)])
def test_unconditional_samples_have_the_spread_of_ddim(
    prior: GaussianDenoiser, eta: float, steps: int, std: float
) -> None:
    x = Unconditional(steps, eta)(Problem(None, None, prior, stream()))
    assert float(x.std()) == pytest.approx(std, rel=0.03)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.02)


class Oracle(Denoiser):
    """Knows the image."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.schedule, self.shape, self.x = LinearSchedule(), SHAPE, x

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        return self.from_x(self.x.expand_as(x_t), x_t, t)


@pytest.mark.parametrize(
    "solver", [DDRM(), Unconditional(steps=20), Unconditional(steps=7, eta=1.0)], ids=repr
)
def test_samplers_end_at_the_denoised_image(solver: Solver) -> None:
    x = torch.randn(1, *SHAPE)
    problem = Problem(torch.zeros(2, *SHAPE), Measurement(Identity(), 0.5), Oracle(x), stream(2))
    torch.testing.assert_close(solver(problem), x.expand(2, -1, -1, -1))


W = {
    "linear": lambda s: s,
    "sqrt": lambda s: s**0.5,
    "square": lambda s: s * s,
    "log": lambda s: math.log(1 + s),
    "trunc_linear": lambda s: min(s, 1.0),
    "power2over3": lambda s: s ** (2 / 3),
    "const": lambda s: 1.0,
}


@pytest.mark.parametrize(
    ("h", "weight", "weighting"),
    [
        (1.0, 0.25, "linear"),
        (0.5, 1.0, "linear"),
        (0.0, 0.25, "linear"),
        (1.0, 0.25, "sqrt"),
        (1.0, 0.02, "square"),
        (1.0, 0.25, "log"),
        (1.0, 0.5, "trunc_linear"),
        (1.0, 0.25, "power2over3"),
        (1.0, 0.1, "const"),
    ],
)
def test_reddiff_by_gradient_descent_is_its_affine_oracle(
    prior: GaussianDenoiser, h: float, weight: float, weighting: Weighting
) -> None:
    """E of the prior's gradient is kappa_t (mu - mean), kappa_t = weight w(s) s / (v + s^2)."""
    steps, rate = 100, 0.05
    schedule, n = LinearSchedule(), 64
    oracle = Affine(1 / h if h else 0.0, 0.0, 0.0)
    for t in schedule.timesteps(steps)[:-1].tolist():
        sigma = float(schedule.sigma[t] / schedule.alpha[t])
        w = weight * W[weighting](sigma)
        kappa, noise = w * sigma / (VAR + sigma**2), w * VAR / (VAR + sigma**2)
        oracle = oracle.then(1 - rate * (h * h + kappa), rate * h, rate * kappa * MEAN, (rate * noise) ** 2)
    x = solve(
        REDDiff(steps, lr=rate * n, weight=weight, weighting=weighting, optimizer=torch.optim.SGD),
        prior,
        Scale(h),
        0.1,
        0.5,
    )
    std = math.sqrt(oracle.var)
    assert float(x.mean()) == pytest.approx(oracle.gain * 0.5 + oracle.offset, abs=4 * std / 128 + 1e-4)
    assert float(x.std()) == pytest.approx(std, rel=0.03)


def test_reddiff_never_differentiates_the_network(prior: GaussianDenoiser) -> None:
    metered = MeteredDenoiser(prior)
    solve(REDDiff(steps=7), metered, Identity(), 0.1, 0.3)
    assert (metered.forward_calls, metered.backward_calls) == (7, 0)


def test_reddiff_starts_where_it_is_told() -> None:
    y, sigma = torch.full((2, *SHAPE), 0.5), 0.3
    starts = {}
    for start in ("pinv", "wiener", "noise"):
        problem = Problem(y, Measurement(Scale(0.5), sigma), Oracle(y), stream(2))
        starts[start] = REDDiff(start_from=start).first_image(problem)
    torch.testing.assert_close(starts["pinv"], y / 0.5)
    torch.testing.assert_close(starts["wiener"], y * 0.5 / (0.25 + sigma**2))
    torch.testing.assert_close(starts["noise"], stream(2).normal(SHAPE))
    nonlinear = Problem(y, Measurement(HighDynamicRange(), sigma), Oracle(y), stream(2))
    torch.testing.assert_close(REDDiff(start_from="wiener").first_image(nonlinear), y / 2)


@pytest.mark.parametrize("t", [1, 50, 200, 900, 1000])
@pytest.mark.parametrize("jacobian", [True, False])
def test_plug_and_play_has_its_closed_form_gradient(t: int, jacobian: bool) -> None:
    """E grad |eps - eps_hat|^2 = 2 a (1 - a) (mu - m) / (a v + 1 - a)^2 per pixel, a = alpha_t^2."""
    v, m, mu_value = 1e-2, -0.2, 0.3
    prior = GaussianDenoiser(torch.full(SHAPE, m), v * torch.eye(64))
    count, n = 2000, 64
    mu = torch.full((count, *SHAPE), mu_value, requires_grad=True)
    solver = PlugAndPlay(weight=0.0, jacobian=jacobian)
    problem = Problem(torch.zeros(count, *SHAPE), Measurement(Identity()), prior, stream(count))
    (gradient,) = torch.autograd.grad(solver.loss(problem, [torch.tensor(t)], 0, mu), mu)
    a = float(prior.schedule.alpha[t].double() ** 2)
    spread = a * v + 1 - a
    size = 2 * a * (1 - a) / spread**2 if jacobian else 2 * math.sqrt(a * (1 - a)) / spread
    error = float(n * gradient.double().std()) / math.sqrt(count * n)
    assert float(n * gradient.double().mean()) == pytest.approx(size * (mu_value - m), abs=4 * error + 1e-6)


def test_plug_and_play_differentiates_the_network_once_a_step(prior: GaussianDenoiser) -> None:
    metered = MeteredDenoiser(prior)
    solve(PlugAndPlay(steps=5), metered, Identity(), 0.1, 0.3)
    assert (metered.forward_calls, metered.backward_calls) == (5, 5)


def test_plug_and_play_anneals_its_constraint() -> None:
    y = torch.ones(1, *SHAPE)
    problem = Problem(y, Measurement(Identity()), Oracle(torch.zeros(1, *SHAPE)), stream(1))
    mu = torch.zeros(1, *SHAPE, requires_grad=True)

    def pull(solver: PlugAndPlay, i: int) -> float:
        loss = solver.loss(problem, [torch.tensor(1000)], i, mu)
        return float(torch.autograd.grad(loss, mu)[0].mean()) * -64

    assert pull(PlugAndPlay(steps=10, weight=4.0), 5) == pytest.approx(2.0, abs=0.01)
    assert pull(PlugAndPlay(steps=10, weight=4.0, anneal=False), 5) == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize("name", [*LINEAR, *UNMEASURED])
def test_image_does_not_depend_on_its_batch(name: str, prior: GaussianDenoiser) -> None:
    solver = SOLVERS[name]

    def run(count: int, first: int) -> Tensor:
        names = [str(i) for i in range(first, first + count)]
        measurement = Measurement(Inpainting(), 0.1)
        measurement = measurement.prepare(Images(SHAPE, names, stream(count, first, "operator")))
        x = NoiseStream.of(1, range(first, first + count), "truth").normal(SHAPE)
        y = measurement.observe(x, stream(count, first, "measurement"))
        return solver(Problem(y, measurement, prior, stream(count, first)))

    together = run(4, 0)
    singles = torch.cat([run(1, i) for i in range(4)])
    torch.testing.assert_close(together, singles, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [*LINEAR, *UNMEASURED])
def test_solver_yields_as_many_images_as_it_says(name: str, prior: GaussianDenoiser) -> None:
    solver = SOLVERS[name]
    problem = Problem(torch.zeros(1, *SHAPE), Measurement(Identity(), 0.1), prior, stream(1))
    assert len(list(solver.iterates(problem))) == solver.length


def test_plug_and_play_finish_draws_from_the_prior(prior: GaussianDenoiser) -> None:
    """Noised to t = T and denoised, nothing is left of the descent."""
    x = solve(PlugAndPlay(steps=1, finish=1000), prior, Identity(), 0.1, 5.0)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(x.std()) == pytest.approx(math.sqrt(VAR), rel=0.03)


@pytest.mark.parametrize(
    "solver", [REDDiff(steps=200), PlugAndPlay(steps=200, lr=0.05, weight=10.0)], ids=repr
)
def test_nonlinear_operator_is_explained(solver: Solver, prior: GaussianDenoiser) -> None:
    measurement, x = Measurement(HighDynamicRange(), 0.05), MEAN + 0.5 * torch.randn(4, *SHAPE)
    y = measurement.observe(x, stream(4, purpose="measurement"))
    restored = solver(Problem(y, measurement, prior, stream(4)))
    assert (measurement(restored, y) < 0.2 * measurement(torch.zeros_like(x), y)).all()
