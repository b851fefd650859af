"""What differs from image to image in one batch: classes, spectra and noise."""

import pytest
import torch
from small_solvers import LINEAR, SOLVERS, UNMEASURED
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate, GaussianDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.noise_models import GaussianNoise
from lightning_inv.operators import Identity, SVDOperator
from lightning_inv.solvers import Problem, Solver

SHAPE, N = (1, 4, 4), 16
EXACT = ("exact guidance",)  # it knows its prior


class OfClasses(Denoiser):
    """One Gaussian a class."""

    num_classes = 2

    def __init__(self) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(
            GaussianDenoiser(torch.full(SHAPE, mean), 0.1 * torch.eye(N)) for mean in (-0.5, 0.5)
        )
        self.schedule, self.shape = self.parts[0].schedule, SHAPE

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        first, second = (part(x_t, t) for part in self.parts)
        chosen = (label == 0).view(-1, 1, 1, 1)
        return Estimate(*(torch.where(chosen, a, b) for a, b in zip(first, second, strict=True)))


class Scales(Identity):
    """A(x) = h x, with a spectrum of its own for each image."""

    def __init__(self, s: Tensor) -> None:
        super().__init__()
        self.s = s


def solve(
    solver: Solver, prior: Denoiser, A: SVDOperator, sigma: Tensor, label: Tensor | None, **k: int
) -> Tensor:
    count, first = k["count"], k.get("first", 0)
    rng = NoiseStream.of(0, range(first, first + count), "solver")
    measurement = Measurement(A, noise=GaussianNoise(sigma))
    return solver(Problem(torch.full((count, *SHAPE), 0.2), measurement, prior, rng, label))


@pytest.mark.parametrize("name", [name for name in (*LINEAR, *UNMEASURED) if name not in EXACT])
def test_each_image_has_the_prior_of_its_class(name: str) -> None:
    solver = SOLVERS[name]
    prior, sigma, label = OfClasses(), torch.full((4,), 0.5), torch.tensor([0, 1, 1, 0])
    x = solve(solver, prior, Identity(), sigma, label, count=4)
    for i, k in enumerate(label.tolist()):
        alone = solve(solver, prior.parts[k], Identity(), sigma[:1], None, count=1, first=i)
        torch.testing.assert_close(x[i : i + 1], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", LINEAR)
def test_each_image_has_its_own_spectrum_and_noise(name: str) -> None:
    """Some directions of some images are unseen, faint or exactly known."""
    solver = SOLVERS[name]
    prior = GaussianDenoiser(torch.zeros(SHAPE), 0.3 * torch.eye(N))
    s = torch.rand(3, *SHAPE) * (torch.rand(3, *SHAPE) > 0.3)
    sigma = torch.tensor([0.0, 0.1, 2.0])
    x = solve(solver, prior, Scales(s), sigma, None, count=3)
    for i in range(3):
        one = Scales(s[i : i + 1])
        alone = solve(solver, prior, one, sigma[i : i + 1], None, count=1, first=i)
        torch.testing.assert_close(x[i : i + 1], alone, atol=1e-5, rtol=1e-4)
    assert x.isfinite().all()
