"""Mistakes that official code makes or invites, where no other test file has the place for them."""

import pytest
import torch
from families import OPERATORS
from scipy import signal
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.data import SampleImages
from lightning_inv.denoisers import Denoiser, Estimate, GaussianDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import GaussianKernel, Identity, Images, SeparableBlur, UniformKernel
from lightning_inv.priors import load_prior
from lightning_inv.schedules import LinearSchedule
from lightning_inv.solvers import DDRM, Problem, REDDiff

SHAPE, N = (1, 4, 4), 16


def stream(count: int, purpose: str = "solver") -> NoiseStream:
    return NoiseStream.of(0, range(count), purpose)


@pytest.mark.parametrize("name", OPERATORS)
def test_noise_is_never_doubled(name: str) -> None:
    """Its deviation is sigma in units of images in [-1, 1], for every operator."""
    case, sigma, count = OPERATORS[name], 0.3, 24
    measurement = Measurement(case.operator, sigma).prepare(case.images(count))
    x = 2 * torch.rand(count, *case.shape) - 1
    y = measurement.observe(x, stream(count, "measurement"))
    observed = measurement.operator.observed(y).expand_as(y)
    found = (y - measurement.operator(x))[observed > 0]
    assert float(found.std()) == pytest.approx(sigma, rel=4 / found.numel() ** 0.5)


@pytest.mark.parametrize("width", [1, 5, 9])
def test_kernels_have_all_their_taps(width: int) -> None:
    assert UniformKernel(width).taps().tolist() == pytest.approx([1 / width] * width)
    bell = signal.windows.gaussian(width, 1.7)
    assert GaussianKernel(width, 1.7).taps().tolist() == pytest.approx(list(bell / bell.sum()))


def test_an_ill_conditioned_blur_has_finite_gradients() -> None:
    A = SeparableBlur(GaussianKernel(9, 3.0)).prepare(Images.unnamed((1, 16, 16), 2))
    y = torch.randn(2, 1, 16, 16, requires_grad=True)
    (A.pinv(y).square().sum() + A.prox(y, y, 1e-3).square().sum()).backward()
    assert y.grad.isfinite().all()


class Scale(Identity):
    """A(x) = h x."""

    def __init__(self, h: float) -> None:
        super().__init__()
        self.s = torch.full((1, 1, 1, 1), h)


def test_ddrm_trusts_a_direction_that_is_as_noisy_as_the_step() -> None:
    """With eta_b = 1 its mean is y there, its variance 0; a hair noisier and it is x_hat + ... instead."""
    schedule = LinearSchedule()
    prior = GaussianDenoiser(torch.zeros(SHAPE), torch.eye(N), schedule)
    t, s = torch.tensor(501), torch.tensor(401)
    level = schedule.sigma[401] / schedule.alpha[401]
    y = torch.full((400, *SHAPE), 0.7)
    problem = Problem(y, Measurement(Identity(), float(level)), prior, stream(400))
    x_s = DDRM(eta=0.3).step(problem, torch.randn(400, *SHAPE), t, s)
    torch.testing.assert_close(x_s, schedule.alpha[401] * y)
    noisier = Problem(y, Measurement(Identity(), 1.001 * float(level)), prior, stream(400))
    x_s = DDRM(eta=0.3).step(noisier, torch.randn(400, *SHAPE), t, s)
    assert float((x_s / schedule.alpha[401]).std()) > 0.3 * float(level)


def test_ddrm_starts_from_what_y_says_at_the_noise_of_the_first_time() -> None:
    """Mean y and variance noise_t^2 - level^2 where y is less noisy than x_t, 0 and noise_t^2 elsewhere."""
    prior = GaussianDenoiser(torch.zeros(SHAPE), torch.eye(N))
    alpha_t, sigma_t = prior.schedule(torch.tensor(501))
    noise, y = float(sigma_t / alpha_t), 5.0
    for level, mean, std in ((0.8 * noise, y, 0.6 * noise), (1.1 * noise, 0.0, noise)):
        seen = torch.full((2000, *SHAPE), y)
        problem = Problem(seen, Measurement(Identity(), level), prior, stream(2000))
        z = DDRM().start(problem, torch.tensor(501)) / alpha_t
        assert float(z.mean()) == pytest.approx(mean, abs=0.1)
        assert float(z.std()) == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("h", [1.0, 0.25])
def test_the_loss_of_reddiff_is_a_mean_over_y_and_a_mean_over_pixels(h: float) -> None:
    """Its gradient is A^T (A mu - y) / m + weight w (eps_hat - eps) / n."""
    prior = GaussianDenoiser(torch.full(SHAPE, 0.2), 0.3 * torch.eye(N))
    mu, y, t = torch.randn(3, *SHAPE, requires_grad=True), torch.randn(3, *SHAPE), torch.tensor(300)
    problem = Problem(y, Measurement(Scale(h), 0.1), prior, stream(3))
    (found,) = torch.autograd.grad(REDDiff(weight=0.4).loss(problem, [t], 0, mu), mu)
    alpha_t, sigma_t = prior.schedule(t)
    eps = stream(3).normal(SHAPE)
    eps_hat = prior(alpha_t * mu + sigma_t * eps, t).eps
    expected = h * (h * mu - y) / N + 0.4 * sigma_t / alpha_t * (eps_hat - eps) / N
    torch.testing.assert_close(found, expected.detach())


class Steep(Denoiser):
    """Estimates the noise right, by a function with a derivative of a million."""

    def __init__(self, inner: Denoiser) -> None:
        super().__init__()
        self.inner, self.schedule, self.shape = inner, inner.schedule, inner.shape

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        x, eps = self.inner(x_t, t)
        return Estimate(x, eps + 1e6 * (x_t - x_t.detach()))


def test_the_gradient_of_reddiff_does_not_see_the_networks_derivative() -> None:
    prior = GaussianDenoiser(torch.full(SHAPE, 0.2), 0.3 * torch.eye(N))
    y = torch.randn(2, *SHAPE)
    results = [
        REDDiff(10)(Problem(y, Measurement(Identity(), 0.1), one, stream(2))) for one in (prior, Steep(prior))
    ]
    assert torch.equal(*results)


def test_reddiff_returns_the_image_after_its_last_step() -> None:
    prior = GaussianDenoiser(torch.zeros(SHAPE), torch.eye(N))
    y = torch.ones(1, *SHAPE)
    problem = Problem(y, Measurement(Identity(), 0.1), prior, stream(1))
    x = REDDiff(1, lr=0.1)(problem)  # one step of Adam moves each pixel by the learning rate
    torch.testing.assert_close((x - y).abs(), torch.full_like(y, 0.1), atol=1e-3, rtol=0)


@pytest.mark.parametrize("t", [50, 250, 500])
def test_the_shipped_prior_denoises_better_than_the_best_linear_filter(t: int) -> None:
    """The filter knows the spectrum of these very images."""
    prior, images = load_prior("fashion_mnist"), SampleImages(16).selected()
    x = torch.stack([item["image"] for item in images])
    alpha_t, sigma_t = prior.schedule(torch.tensor(t))
    x_t = alpha_t * x + sigma_t * NoiseStream.of(0, range(len(x)), "noise").normal(prior.shape)
    with torch.no_grad():
        ours = (prior(x_t, torch.tensor(t)).x - x).square().mean()
    mean = x.mean(0)
    power = torch.fft.fft2(x - mean, norm="ortho").abs().square().mean(0)
    gain = alpha_t * power / (alpha_t**2 * power + sigma_t**2)
    filtered = torch.fft.ifft2(gain * torch.fft.fft2(x_t - alpha_t * mean, norm="ortho"), norm="ortho").real
    theirs = (mean + filtered - x).square().mean()
    assert float(ours) < 0.7 * float(theirs)
