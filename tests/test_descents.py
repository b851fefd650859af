"""What descents share: any optimizer, plans of times, and the width of RED-diff's Gaussian."""

import json
import math
from functools import partial

import pytest
import torch
from conftest import SHAPE, images

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import GaussianDenoiser, MeteredDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.noise_models import GaussianNoise
from lightning_inv.operators import Identity, Inpainting
from lightning_inv.recipes import describe
from lightning_inv.schedules import LinearSchedule
from lightning_inv.solvers import (
    Descent,
    Grid,
    Oscillating,
    PlugAndPlay,
    Problem,
    REDDiff,
    Reversed,
    Shuffled,
    TimePlan,
)
from lightning_inv.solvers.descent import ELEMENTWISE

MEAN, VAR, N = 0.1, 0.25, 192
OPTIMIZERS = {
    "sgd": partial(torch.optim.SGD, momentum=0.5),
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
    "adafactor": torch.optim.Adafactor,
    "rmsprop": torch.optim.RMSprop,
}
PLANS = [Grid(), Reversed(), Shuffled(), Oscillating(), Oscillating(jitter=50, low=0.2)]


@pytest.fixture(scope="module")
def prior() -> GaussianDenoiser:
    return GaussianDenoiser(torch.full(SHAPE, MEAN), VAR * torch.eye(N))


def problem_of(prior: GaussianDenoiser, count: int, first: int = 0, sigma: float = 0.1) -> Problem:
    rng = NoiseStream.of(0, range(first, first + count), "solver")
    measurement = Measurement(Inpainting(), sigma).prepare(images(count, first))
    x = NoiseStream.of(0, range(first, first + count), "truth").normal(SHAPE)
    return Problem(measurement.observe(x, rng), measurement, prior, rng)


def assert_images_do_not_meet(solver: Descent, prior: GaussianDenoiser) -> None:
    together = solver(problem_of(prior, 3))
    alone = torch.cat([solver(problem_of(prior, 1, i)) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", [REDDiff, PlugAndPlay])
def test_no_optimizer_lets_images_meet(name: str, kind: type[Descent], prior: GaussianDenoiser) -> None:
    """Adafactor looks at the norm of a whole parameter."""
    assert_images_do_not_meet(kind(steps=8, lr=0.05, optimizer=OPTIMIZERS[name]), prior)


@pytest.mark.parametrize("plan", PLANS, ids=repr)
def test_no_plan_lets_images_meet(plan: TimePlan, prior: GaussianDenoiser) -> None:
    assert_images_do_not_meet(REDDiff(steps=8, plan=plan), prior)


def test_the_learning_rate_is_that_of_the_solver(prior: GaussianDenoiser) -> None:
    own = partial(torch.optim.SGD, lr=100.0)
    assert torch.equal(
        REDDiff(steps=4, lr=0.1, optimizer=own)(problem_of(prior, 2)),
        REDDiff(steps=4, lr=0.1, optimizer=torch.optim.SGD)(problem_of(prior, 2)),
    )


def test_the_learning_rate_falls_to_its_end(prior: GaussianDenoiser) -> None:
    """Without a prior, gradient descent on the data shrinks the error by 1 - lr_i / n at each step."""
    rate, end, steps = 0.5, 0.2, 4
    solver = REDDiff(
        steps, lr=rate * N, lr_end=end, weight=0.0, start_from="noise", optimizer=torch.optim.SGD
    )
    y = torch.ones(1, *SHAPE)
    rng = NoiseStream.of(0, range(1), "solver")
    first = NoiseStream.of(0, range(1), "solver").normal(SHAPE)
    x = solver(Problem(y, Measurement(Identity(), 0.1), prior, rng))
    left = math.prod(1 - rate * (1 - (1 - end) * i / steps) for i in range(steps))
    torch.testing.assert_close(x - y, left * (first - y), atol=1e-4, rtol=1e-4)


def test_an_optimizer_with_closure_is_refused(prior: GaussianDenoiser) -> None:
    with pytest.raises(TypeError, match="REDDiff needs an optimizer without closure, got LBFGS"):
        REDDiff(optimizer=torch.optim.LBFGS)(problem_of(prior, 1))


def test_an_image_without_noise_does_not_change_how_others_start(prior: GaussianDenoiser) -> None:
    y, sigma = torch.ones(2, *SHAPE), torch.tensor([0.0, 1.0])
    measurement = Measurement(Identity(), noise=GaussianNoise(sigma))
    rng = NoiseStream.of(0, range(2), "solver")
    x = REDDiff(start_from="wiener").first_image(Problem(y, measurement, prior, rng))
    torch.testing.assert_close(x, torch.tensor([1.0, 0.5]).view(2, 1, 1, 1).expand(2, *SHAPE))


def test_settings_with_an_optimizer_are_plain_data() -> None:
    one, other = (describe(REDDiff(optimizer=partial(torch.optim.SGD, momentum=m))) for m in (0.1, 0.2))
    assert json.dumps(one) != json.dumps(other)
    assert one["init_args"]["optimizer"]["class_path"] == "torch.optim.sgd.SGD"


def test_reversed_plans_ascend() -> None:
    assert Reversed(Grid()).times(20, 1000).tolist() == list(range(1, 1000, 50))


def test_shuffled_plans_visit_each_time_once_in_an_order_of_each_image() -> None:
    rng = NoiseStream.of(0, range(3), "solver")
    times = Shuffled(Grid()).draw(20, 1000, rng)
    assert times.shape == (20, 3)
    for column in times.T:
        assert sorted(column.tolist()) == list(range(1, 1000, 50))
    assert (times[:, 0] != times[:, 1]).any()


def test_jitter_stays_within_its_bounds() -> None:
    plan = Oscillating(line=1.5, share=3, period=10, whole=False, low=0.2, jitter=50)
    times = plan.draw(200, 1000, NoiseStream.of(0, range(50), "solver"))
    shift = times - plan.times(200, 1000)[:, None]
    assert times.shape == (200, 50)
    assert (shift.abs() <= 50).all()
    inside = plan.times(200, 1000) < 950
    assert (shift[inside].amin(), shift[inside].amax()) == (-50, 50)


PAPER = {
    "mnist": (Oscillating(), 1000, {0: 1000, 64: 1000, 999: 1}, 65),
    "faces": (Oscillating(3, 10, 1.5, whole=False, low=0.2), 200, {0: 1000, 199: 203}, None),
    "segmentation, single": (Oscillating(10, 30, 3, whole=False), 500, {0: 433, 499: 1}, 0),
    "segmentation, bulk": (Oscillating(10, 10, 3), 200, {0: 430, 199: 1}, 0),
    "tours": (Oscillating(3, 50), 256, {0: 1000, 255: 3}, 45),
}


@pytest.mark.parametrize("name", PAPER)
def test_plans_of_the_paper(name: str) -> None:
    plan, steps, expected, at_the_top = PAPER[name]
    times = plan.times(steps, 1000)
    assert {i: int(times[i]) for i in expected} == expected
    if at_the_top is not None:
        assert int((times == 1000).sum()) == at_the_top


def test_several_draws_a_step_cost_as_many_evaluations(prior: GaussianDenoiser) -> None:
    metered = MeteredDenoiser(prior)
    solver = REDDiff(steps=5, draws=4)
    problem = problem_of(prior, 2)
    assert len(list(solver.iterates(Problem(problem.y, problem.measurement, metered, problem.rng)))) == 5
    assert metered.forward_calls == 20


def test_the_width_that_is_fitted_is_that_of_the_prior_where_nothing_is_seen() -> None:
    """For a Gaussian prior of variance v, the divergence is least at sigma_x0^2 = v."""
    schedule = LinearSchedule()
    prior = GaussianDenoiser(torch.full(SHAPE, MEAN), VAR * torch.eye(N), schedule)
    count, t = 4000, torch.tensor(300)
    rng = NoiseStream.of(0, range(count), "solver")
    problem = Problem(torch.zeros(count, *SHAPE), Measurement(Identity()), prior, rng)
    solver = REDDiff(weight=1.0, obs_weight=0.0, sigma_x0=0.1, fit_sigma=True)
    slopes = []
    for sigma in (0.8, 1.0, 1.25):
        log_sigma = torch.full((count, 1, 1, 1), math.log(sigma * VAR**0.5), requires_grad=True)
        loss = solver.loss(problem, [t], 0, torch.full((count, *SHAPE), MEAN), log_sigma)
        slopes.append(float(torch.autograd.grad(loss, log_sigma)[0].mean()))
    assert slopes[0] < 0 < slopes[2]
    assert abs(slopes[1]) < 0.05 * min(-slopes[0], slopes[2])


def test_a_width_to_fit_begins_somewhere(prior: GaussianDenoiser) -> None:
    with pytest.raises(ValueError, match="fit_sigma needs a positive sigma_x0"):
        REDDiff(fit_sigma=True)(problem_of(prior, 1))


@pytest.mark.parametrize("kind", sorted(ELEMENTWISE, key=lambda kind: kind.__name__))
def test_one_leaf_for_all_images_is_the_same_arithmetic(kind: type, prior: GaussianDenoiser) -> None:
    """A subclass is not known to be element-wise, so it is given a leaf for each image."""
    leaves = []

    class Own(kind):
        def __init__(self, params: list[torch.Tensor]) -> None:
            leaves.append(len(params))
            super().__init__(params)

    solver = partial(REDDiff, steps=6, lr=0.05, fit_sigma=True, sigma_x0=0.1)
    together, apart = (solver(optimizer=one)(problem_of(prior, 3)) for one in (kind, Own))
    assert max(leaves) == 6
    torch.testing.assert_close(together, apart, atol=1e-6, rtol=1e-5)
