"""What plug-and-play can be made of: weightings, terms, latents and its end."""

import math

import pytest
import torch
from conftest import random_covariance
from torch import Tensor

from lightning_inv.constraints import Measurement, Plain, Symmetry
from lightning_inv.denoisers import Denoiser, EpsilonDenoiser, Estimate, GaussianDenoiser
from lightning_inv.networks import UNet
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Identity
from lightning_inv.solvers import Descent, Latent, PlugAndPlay, Problem, REDDiff, Term
from lightning_inv.solvers.weightings import Weighting

SHAPE, N = (1, 4, 6), 24
SYMMETRIC = {"mirror": Term(Symmetry(), 1.0, False, Plain())}


@pytest.fixture
def prior() -> GaussianDenoiser:
    return GaussianDenoiser(torch.full(SHAPE, 0.1), random_covariance(N))


def stream(count: int, first: int = 0) -> NoiseStream:
    return NoiseStream.of(0, range(first, first + count), "solver")


def problem_of(prior: Denoiser, count: int = 3, y: float | None = 0.3) -> Problem:
    if y is None:
        return Problem(None, None, prior, stream(count))
    return Problem(torch.full((count, *SHAPE), y), Measurement(Identity(), 0.1), prior, stream(count))


def gradient(solver: Descent, prior: Denoiser, t: int, mu: Tensor) -> Tensor:
    """The gradient of the loss at the first step, times the number of pixels."""
    mu = mu.clone().requires_grad_()
    loss = solver.loss(problem_of(prior, len(mu)), [torch.tensor(t)], 0, mu)
    return N * torch.autograd.grad(loss, mu)[0]


def seen(prior: Denoiser, t: int, mu: Tensor) -> tuple[Tensor, Estimate, float]:
    """The eps that the first step draws, the estimate there, and s."""
    alpha_t, sigma_t = prior.schedule(torch.tensor(t))
    eps = stream(len(mu)).normal(SHAPE)
    return eps, prior(alpha_t * mu + sigma_t * eps, torch.tensor(t)), float(sigma_t / alpha_t)


# The prior's loss


@pytest.mark.parametrize("t", [30, 400, 990])
def test_the_square_weighting_makes_the_loss_that_of_the_image(prior: GaussianDenoiser, t: int) -> None:
    """|eps - eps_hat|^2 = (alpha_t / sigma_t)^2 |mu - x_hat|^2."""
    mu = torch.randn(3, *SHAPE)
    solver = PlugAndPlay(weight=0.0, weighting="square")
    found = solver.loss(problem_of(prior), [torch.tensor(t)], 0, mu)
    _, estimate, _ = seen(prior, t, mu)
    torch.testing.assert_close(found, (mu - estimate.x).square().sum() / N, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("t", [30, 400, 990])
def test_linear_without_jacobian_pulls_by_the_residual_of_the_denoiser(
    prior: GaussianDenoiser, t: int
) -> None:
    mu = torch.randn(3, *SHAPE)
    _, estimate, _ = seen(prior, t, mu)
    found = gradient(PlugAndPlay(weight=0.0, weighting="linear", jacobian=False), prior, t, mu)
    torch.testing.assert_close(found, 2 * (mu - estimate.x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("weighting", ["sqrt", "const", lambda s: 3 * s.cos()])
def test_a_weighting_is_a_function_of_the_noise_over_the_image(
    prior: GaussianDenoiser, weighting: Weighting
) -> None:
    mu, t = torch.randn(3, *SHAPE), 300
    eps, estimate, s = seen(prior, t, mu)
    known = {"sqrt": s**0.5, "const": 1.0}
    w = known[weighting] if isinstance(weighting, str) else 3 * math.cos(s)
    found = gradient(PlugAndPlay(weight=0.0, weighting=weighting, jacobian=False), prior, t, mu)
    torch.testing.assert_close(found, 2 * w * (estimate.eps - eps), rtol=1e-3, atol=1e-4)


def test_a_weighting_may_be_any_function_in_reddiff_as_well(prior: GaussianDenoiser) -> None:
    results = [
        REDDiff(5, weighting=weighting)(problem_of(prior)) for weighting in ("square", lambda s: s * s)
    ]
    assert torch.equal(*results)


def test_the_jacobian_matters_off_the_manifold() -> None:
    """With little variance and little noise the gradient is more than 50 times that of RED-diff."""
    prior = GaussianDenoiser(torch.zeros(SHAPE), 1e-4 * torch.eye(N))
    mu = torch.full((400, *SHAPE), 0.5)
    full, red = (
        float(gradient(solver, prior, 50, mu).mean())
        for solver in (PlugAndPlay(weight=0.0), REDDiff(obs_weight=0.0))
    )
    a = float(prior.schedule.alpha[50].double() ** 2)
    assert full == pytest.approx(2 * a * (1 - a) * 0.5 / (a * 1e-4 + 1 - a) ** 2, rel=0.05)
    assert full > 50 * red > 0


def test_weights_of_a_frozen_network_with_attention_gather_no_gradient() -> None:
    network = UNet(8, model_channels=8, channel_mult=[1, 2], norm_groups=4, attention_resolutions=[4])
    torch.nn.init.normal_(network.out[-1].weight)  # zero in a network that is not trained
    prior = EpsilonDenoiser(network, (1, 8, 8)).requires_grad_(False)
    mu = torch.randn(2, 1, 8, 8, requires_grad=True)
    problem = Problem(torch.zeros(2, 1, 8, 8), Measurement(Identity()), prior, stream(2))
    PlugAndPlay(weight=0.0).loss(problem, [torch.tensor(100)], 0, mu).backward()
    assert mu.grad.isfinite().all()
    assert mu.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in network.parameters())


# Terms


def test_terms_take_the_place_of_a_measurement(prior: GaussianDenoiser) -> None:
    settings = {"steps": 100, "lr": 0.05}
    free = PlugAndPlay(terms={"mirror": Term(Symmetry(), 0.0)}, **settings)(problem_of(prior, 8, None))
    bound = PlugAndPlay(terms=SYMMETRIC, **settings)(problem_of(prior, 8, None))
    assert (Symmetry()(bound) < 0.25 * Symmetry()(free).mean()).all()


def test_nothing_to_go_by_is_refused(prior: GaussianDenoiser) -> None:
    with pytest.raises(TypeError, match="PlugAndPlay needs a measurement or terms, got none"):
        PlugAndPlay()(problem_of(prior, y=None))


def test_without_y_there_is_nothing_to_start_from(prior: GaussianDenoiser) -> None:
    with pytest.raises(ValueError, match="start_from must be noise without y or with a latent, got 'pinv'"):
        PlugAndPlay(terms=SYMMETRIC, start_from="pinv")(problem_of(prior, y=None))


@pytest.mark.parametrize(
    ("anneal", "shares"),
    [(True, (1.0, 0.75, 0.25)), (False, (1.0, 1.0, 1.0)), (lambda over: over**2, (0.0, 0.0625, 0.5625))],
)
def test_weights_change_over_a_run(prior: GaussianDenoiser, anneal: object, shares: tuple) -> None:
    x, y = torch.randn(2, *SHAPE), torch.zeros(2, *SHAPE)
    term = Term(Symmetry(), 3.0, anneal, Plain())
    for i, share in zip((0, 1, 3), shares, strict=True):
        solver = PlugAndPlay(steps=4, weight=0.0, terms={"mirror": term})
        problem = Problem(y, Measurement(Identity()), prior, stream(2))
        expected = 3.0 * share * (x - x.flip(-1)).square().sum() / N
        torch.testing.assert_close(solver.constraint_loss(problem, i, x), expected)


def test_terms_add_up(prior: GaussianDenoiser) -> None:
    x, problem = torch.randn(3, *SHAPE), problem_of(prior)
    terms = {"mirror": Term(Symmetry(), 1.0, False, Plain()), "flip": Term(Symmetry("up_down"), 2.0, False)}

    def loss(*names: str, weight: float = 0.0) -> Tensor:
        solver = PlugAndPlay(weight=weight, anneal=False, terms={name: terms[name] for name in names})
        return solver.constraint_loss(problem, 5, x)

    parts = loss("mirror") + loss("flip") + loss(weight=0.5)
    torch.testing.assert_close(loss("mirror", "flip", weight=0.5), parts)


def test_a_clipped_constraint_pulls_most_pixels_of_the_first_image(prior: GaussianDenoiser) -> None:
    mu = stream(50).normal(SHAPE).requires_grad_()
    term = Term(Symmetry(), 1.0)
    (pull,) = torch.autograd.grad(term(mu, None, stream(50), 0.0).sum(), mu)
    assert 0.6 < float((pull != 0).float().mean()) < 0.8


# Latents


def test_a_latent_keeps_pixels_in_their_range_and_explains_y(prior: GaussianDenoiser) -> None:
    latent = Latent(torch.nn.Tanh(), SHAPE)
    problem = problem_of(prior, 2, 0.9)
    x = PlugAndPlay(steps=200, lr=0.1, weight=100.0, anneal=False, latent=latent)(problem)
    assert x.abs().max() < 1
    assert float((x - 0.9).abs().mean()) < 0.05


def test_a_latent_moves_by_the_chain_rule(prior: GaussianDenoiser) -> None:
    """X = M z: the gradient of z is M^T times that of x, and the first z is white noise."""
    M = torch.nn.Linear(5, N)
    latent = Latent(torch.nn.Sequential(M, torch.nn.Unflatten(1, SHAPE)), (5,))
    solver, image = (PlugAndPlay(weight=2.0, latent=one) for one in (latent, None))
    (z,) = solver.start(problem_of(prior))
    assert z.shape == (3, 5)
    z.requires_grad_()
    loss = solver.loss(problem_of(prior), [torch.tensor(200)], 0, z)
    (found,) = torch.autograd.grad(loss, z)
    mu = latent(z).detach()
    torch.testing.assert_close(found, gradient(image, prior, 200, mu).flatten(1) @ M.weight / N)


def test_a_latent_of_another_shape_is_refused(prior: GaussianDenoiser) -> None:
    latent = Latent(torch.nn.Tanh(), (1, 5, 5))
    with pytest.raises(ValueError, match=r"decoder makes images of shape \(1, 5, 5\), the prior has \(1, 4"):
        PlugAndPlay(latent=latent)(problem_of(prior))


# The end


class Knows(Denoiser):
    """Knows the image."""

    def __init__(self, x: float) -> None:
        super().__init__()
        self.schedule, self.shape, self.x = (
            GaussianDenoiser(torch.zeros(1, 1, 1), torch.eye(1)).schedule,
            SHAPE,
            x,
        )

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        self.seen = x_t
        return self.from_x(torch.full_like(x_t, self.x), x_t, t)


@pytest.mark.parametrize("renoise", [True, False])
def test_the_end_begins_at_the_noise_of_its_time_if_asked(renoise: bool) -> None:
    prior = Knows(0.5)
    solver = PlugAndPlay(steps=1, weight=0.0, finish=300, renoise=renoise)
    iterates = solver.iterates(problem_of(prior, 400))
    x = next(iterates).clone()
    next(iterates)
    alpha_t, sigma_t = prior.schedule(torch.tensor(300))
    added = (prior.seen - (alpha_t * x if renoise else x)).std()
    assert float(added) == pytest.approx(float(sigma_t) if renoise else 0.0, abs=0.02)


def test_no_end_is_the_descent(prior: GaussianDenoiser) -> None:
    solver = PlugAndPlay(steps=5)
    *_, last = super(PlugAndPlay, solver).iterates(problem_of(prior))
    assert torch.equal(solver(problem_of(prior)), last)
