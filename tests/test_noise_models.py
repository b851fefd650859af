"""Noise has the size that its model states, and solvers are told which noise they can deal with."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SHAPE, images

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import GaussianDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.noise_models import (
    GaussianNoise,
    Noise,
    NoiseMap,
    PoissonGaussianNoise,
    PoissonNoise,
    SaltAndPepper,
    VaryingNoise,
)
from lightning_inv.operators import Identity, Inpainting
from lightning_inv.solvers import DDRM, Problem, PseudoInverse, REDDiff, Solver

COUNT = 400
NOISES = {
    "gaussian": GaussianNoise(0.1),
    "one an image": GaussianNoise(torch.linspace(0.05, 0.3, COUNT)),
    "one an entry": GaussianNoise(torch.linspace(0.05, 0.3, 192).view(1, *SHAPE)),
    "varying": VaryingNoise(0.05, 0.2),
    "poisson": PoissonNoise(40.0),
    "poisson and gaussian": PoissonGaussianNoise(40.0, 0.1),
    "salt and pepper": SaltAndPepper(0.1),
}
every = pytest.mark.parametrize("name", NOISES)
GIVEN = {"one an image", "one an entry"}
"""Given for a batch, by tensors."""


def stream(count: int = COUNT, first: int = 0) -> NoiseStream:
    return NoiseStream.of(0, range(first, first + count), "measurement")


@every
def test_noise_has_the_deviation_that_it_states(name: str) -> None:
    noise = NOISES[name].prepare(stream())
    clean = (0.8 * (2 * torch.rand(SHAPE) - 1)).expand(COUNT, *SHAPE)
    score = (noise.add(clean, stream()) - clean) / noise.deviation(clean)
    assert float(score.square().mean()) == pytest.approx(1, abs=0.03)
    assert float(score.mean()) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("name", sorted(NOISES.keys() - {"salt and pepper"}))
def test_the_true_image_is_consistent(name: str) -> None:
    """Salt and pepper have a deviation that the clean image alone tells."""
    measurement = Measurement(Inpainting(), noise=NOISES[name]).prepare(images(COUNT))
    x = 1.2 * torch.rand(COUNT, *SHAPE) - 0.3
    y = measurement.observe(x, stream())
    assert float(measurement.consistency(x, y).mean()) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("name", sorted(NOISES.keys() - GIVEN))
def test_noise_of_an_image_does_not_depend_on_its_batch(name: str) -> None:
    clean = 2 * torch.rand(4, *SHAPE) - 1

    def run(first: int, count: int) -> torch.Tensor:
        rng = stream(count, first)
        return NOISES[name].prepare(rng).add(clean[first : first + count], rng)

    torch.testing.assert_close(run(0, 4), torch.cat([run(i, 1) for i in range(4)]))


@every
def test_weights_have_a_mean_of_one(name: str) -> None:
    y = 2 * torch.rand(COUNT, *SHAPE) - 1
    weight = torch.as_tensor(NOISES[name].prepare(stream()).weight(y)).expand_as(y)
    torch.testing.assert_close(weight.flatten(1).mean(1), torch.ones(COUNT))


def test_weights_are_one_over_the_variance() -> None:
    sigma = torch.tensor([0.1, 0.2]).view(1, 1, 1, 2)
    weight = GaussianNoise(sigma).weight(torch.zeros(3, 1, 1, 2))
    torch.testing.assert_close(weight, torch.tensor([1.6, 0.4]).expand(3, 1, 1, 2))


def test_a_map_of_deviations_is_read_from_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "map.npy", np.linspace(0.1, 0.2, 192).reshape(SHAPE))
    noise = NoiseMap(str(tmp_path / "map.npy"))
    noise.check()
    before = noise.fingerprint()
    torch.testing.assert_close(noise.prepare(stream(1)).sigma[0], torch.linspace(0.1, 0.2, 192).view(SHAPE))
    np.save(tmp_path / "map.npy", np.linspace(0.1, 0.3, 192).reshape(SHAPE))
    assert noise.fingerprint() != before


def test_pickled_deviations_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "map.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"the array .*map\.npy cannot be read"):
        NoiseMap(str(tmp_path / "map.npy")).check()


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (VaryingNoise(0.3, 0.2), r"0 <= low <= high, got 0\.3 and 0\.2"),
        (PoissonNoise(0.0), r"PoissonNoise\.rate must be positive, got 0\.0"),
        (PoissonGaussianNoise(1.0, -1.0), r"sigma must be at least 0, got -1\.0"),
        (SaltAndPepper(1.5), r"fraction must be in \[0, 1\], got 1\.5"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Noise) else "",
)
def test_settings_out_of_range_are_refused(noise: Noise, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Measurement(Identity(), noise=noise)


def test_one_noise_is_enough() -> None:
    with pytest.raises(ValueError, match=r"leave it out with PoissonNoise, got 0\.1"):
        Measurement(Identity(), 0.1, PoissonNoise())


@pytest.fixture(scope="module")
def prior() -> GaussianDenoiser:
    return GaussianDenoiser(torch.zeros(SHAPE), 0.25 * torch.eye(192))


@pytest.mark.parametrize("solver", [DDRM(), REDDiff(steps=5, start_from="wiener")], ids=repr)
def test_images_of_different_noise_are_solved_as_alone(solver: Solver, prior: GaussianDenoiser) -> None:
    sigma, y = torch.tensor([0.1, 0.5, 1.0]), torch.randn(3, *SHAPE)
    together = solver(Problem(y, Measurement(Identity(), noise=GaussianNoise(sigma)), prior, stream(3)))
    for i in range(3):
        measurement = Measurement(Identity(), float(sigma[i]))
        alone = solver(Problem(y[i : i + 1], measurement, prior, stream(1, i)))
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("noise", [PoissonNoise(), SaltAndPepper()], ids=lambda n: type(n).__name__)
def test_ddrm_refuses_noise_that_is_not_gaussian_and_says_what_can(
    noise: Noise, prior: GaussianDenoiser
) -> None:
    name = type(noise).__name__
    with pytest.raises(
        TypeError, match=rf"DDRM needs GaussianNoise .*, got {name}; .*REDDiff can do without"
    ):
        DDRM().check(prior, Measurement(Identity(), noise=noise))


@every
@pytest.mark.parametrize(
    "solver", [REDDiff(steps=100, lr=0.05, start_from="wiener"), PseudoInverse()], ids=repr
)
def test_descents_deal_with_any_noise(solver: Solver, name: str, prior: GaussianDenoiser) -> None:
    x = 0.25 * torch.randn(4, *SHAPE)
    noise = NOISES[name] if name != "one an image" else GaussianNoise(torch.linspace(0.05, 0.3, 4))
    measurement = Measurement(Inpainting(), noise=noise).prepare(images(4))
    y = measurement.observe(x, stream(4))
    restored = solver(Problem(y, measurement, prior, stream(4)))
    assert restored.isfinite().all()
    assert (restored - x).square().mean() < 0.2
