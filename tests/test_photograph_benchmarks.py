"""Scripts that measure a prior of photographs, in miniature."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from pictures import noise_pictures
from skimage.restoration import denoise_tv_chambolle

from lightning_inv.configuration import read_config
from lightning_inv.constraints import Measurement
from lightning_inv.data import ImageFolder
from lightning_inv.denoisers import GaussianDenoiser, SizedDenoiser, VelocityDenoiser
from lightning_inv.metrics import psnr
from lightning_inv.networks import ConvUNet
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Identity, Images
from lightning_inv.priors import save_prior
from lightning_inv.solvers import Problem

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def test_held_out_photographs_come_out_of_wheels() -> None:
    from held_out import FILES, photographs

    for split in FILES:
        names, x = photographs(32, split)
        assert names == list(FILES[split])
        assert x.shape == (len(names), 3, 32, 32)
        assert -1 <= x.min() < x.max() <= 1
        assert x.std((1, 2, 3)).min() > 0.1  # each shows something
    assert FILES["test"].keys().isdisjoint(FILES["tuning"])


def test_a_wheel_without_the_photograph_is_told() -> None:
    from held_out import path_of

    with pytest.raises(FileNotFoundError, match=r"no data/none\.png in the package skimage;"):
        path_of("skimage", "data/none.png")


def untrained() -> VelocityDenoiser:
    """An untrained prior of colour images of any size."""
    torch.manual_seed(0)
    return VelocityDenoiser(ConvUNet(widths=(8, 8), depths=(1, 1)), (3, None, None))


@pytest.fixture
def prior(tmp_path: Path) -> str:
    """The file of such a prior."""
    path = tmp_path / "prior.safetensors"
    save_prior(path, untrained(), {"data": "none"})
    return str(path)


@pytest.fixture
def no_bm3d(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A BM3D that does nothing but note its sigma, so that no test needs the package or its seconds."""
    levels = []

    def bm3d_rgb(z: Any, sigma: float, profile: Any) -> Any:
        levels.append(sigma)
        return z

    fake = SimpleNamespace(bm3d_rgb=bm3d_rgb, BM3DProfile=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "bm3d", fake)
    return levels


def test_every_denoiser_is_told_at_every_noise(tmp_path: Path, prior: str, no_bm3d: list[float]) -> None:
    import denoising

    page = tmp_path / "page.md"
    words = ["--prior", prior, "--limit", "2", "--size", "16", "--sigmas", "15", "50"]
    denoising.main([*words, "--page", str(page)])
    text = page.read_text()
    assert no_bm3d == pytest.approx([15 / 255, 15 / 255, 50 / 255, 50 / 255])  # of images in [0, 1]
    for name in ("noisy", "prior, one call", "BM3D", "non-local means", "total variation"):
        assert text.count(f"\n| {name} | ") == 2  # PSNR and SSIM
    assert text.count("\n| method | 15 | 50 |\n") == 2
    assert "astronaut, coffee, 16 x 16" in text
    assert page.with_name("denoising.png").stat().st_size > 1000


def test_the_prior_is_ahead_by_what_it_has_more(prior: str) -> None:
    import argparse

    from denoising import BM3D, PRIOR, Measured, page

    image = torch.zeros(3, 4, 4)
    found = {25.0: {PRIOR: Measured([31.0, 33.5], [0.9, 0.9], 1.0, image)}}
    found[25.0][BM3D] = Measured([30.0, 32.0], [0.9, 0.9], 1.0, image)
    options = argparse.Namespace(size=4, prior=prior)
    assert "The prior minus BM3D: +1.25 " in page(options, ["a", "b"], found)


def test_strengths_are_chosen_on_photographs_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the same noise, drawn anew."""
    import denoising

    asked, x = [], torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(denoising, "photographs", lambda *given: asked.append(given) or (["a", "b"], x))
    given = []
    monkeypatch.setattr(denoising, "best_factor", lambda *words: given.append(words) or 1.0)
    denoising.methods(untrained(), 0.3, 16)
    assert asked == [(16, "tuning")]
    for _, images, y, sigma, _ in given:
        assert (images is x, sigma) == (True, 0.3)
        assert torch.equal(y, denoising.noisy(x, 0.3, seed=1))
        assert not torch.equal(y, denoising.noisy(x, 0.3))
    assert denoising.level(25) == 50 / 255


def test_classical_denoisers_take_noise_away() -> None:
    from classical_denoisers import best_factor, non_local_means, total_variation
    from denoising import noisy
    from held_out import photographs

    x = photographs(48, limit=2)[1]
    y = noisy(x, 0.3)
    assert torch.equal(y[:1], noisy(x[:1], 0.3))  # keyed by image
    for denoised in (non_local_means(y, 0.3), total_variation(y, 0.3)):
        assert denoised.shape == x.shape
        assert (psnr(denoised, x) > psnr(y, x) + 1).all()
    assert best_factor(total_variation, x, y, 0.3, (1e-3, 1.0, 100.0)) == 1.0


def test_bm3d_takes_noise_away() -> None:
    pytest.importorskip("bm3d")
    from classical_denoisers import bm3d
    from denoising import noisy
    from held_out import photographs

    x = photographs(32, limit=1)[1]
    y = noisy(x, 0.3)
    assert psnr(bm3d(y, 0.3), x) > psnr(y, x) + 1


def test_one_call_is_made_at_the_time_of_the_noise() -> None:
    from denoising import one_call

    denoiser = GaussianDenoiser(torch.zeros(3, 4, 4), torch.eye(48))
    y = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(one_call(denoiser, y, 0.5), y / 1.25, rtol=0.01, atol=0.01)


def problem_of(name: str, size: int = 16, limit: int = 2) -> tuple[Problem, torch.Tensor]:
    """Held-out photographs measured as the scripts do, and the photographs."""
    from held_out import photographs
    from photograph_problems import MEASUREMENTS

    parser = ArgumentParser()
    parser.add_argument("--measurement", type=Measurement)
    measurement = parser.instantiate(parser.parse_object({"measurement": MEASUREMENTS[name]})).measurement
    names, x = photographs(size, limit=limit)
    rng = NoiseStream.of(0, range(limit), "test")
    ready = measurement.prepare(Images(tuple(x.shape[1:]), names, rng))
    prior = SizedDenoiser(untrained(), x.shape[1:])
    return Problem(ready.observe(x, rng), ready, prior, rng), x


def test_total_variation_is_that_of_scikit_image() -> None:
    from classical_solvers import TotalVariation
    from held_out import photographs

    x = photographs(24, limit=1)[1][:, :1]
    y = x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    measurement = Measurement(Identity(), 0.2).prepare(Images.unnamed((1, 24, 24)))
    prior = GaussianDenoiser(torch.zeros(1, 24, 24), torch.eye(24**2))
    found = TotalVariation(500, weight=0.2)(Problem(y, measurement, prior, NoiseStream.of(0, [0], "test")))
    expected = denoise_tv_chambolle(y[0, 0].numpy(), 0.2, eps=1e-8, max_num_iter=5000)
    torch.testing.assert_close(found[0, 0], torch.from_numpy(expected), rtol=0, atol=5e-3)


def test_the_denoiser_is_the_solver_of_what_is_seen_whole() -> None:
    from classical_denoisers import total_variation
    from classical_solvers import TotalVariation

    y = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    measurement = Measurement(Identity(), 0.2).prepare(Images.unnamed((3, 8, 8)))
    prior = GaussianDenoiser(torch.zeros(3, 8, 8), torch.eye(192))
    problem = Problem(y, measurement, prior, NoiseStream.of(0, [0, 1], "test"))
    torch.testing.assert_close(total_variation(y, 0.2, 0.7), TotalVariation(weight=0.14)(problem))


def test_differences_have_their_adjoint() -> None:
    from total_variation import differences, differences_adjoint

    rng = torch.Generator().manual_seed(0)
    x, p = torch.randn(2, 3, 5, 4, generator=rng), torch.randn(2, 2, 3, 5, 4, generator=rng)
    torch.testing.assert_close((differences(x) * p).sum(), (x * differences_adjoint(p)).sum())


def test_total_variation_beats_the_pseudo_inverse() -> None:
    from classical_solvers import TotalVariation
    from photograph_problems import MEASUREMENTS

    for name in MEASUREMENTS:
        problem, x = problem_of(name, size=32)
        guess = problem.measurement.operator.pinv(problem.y)
        assert (psnr(TotalVariation(50)(problem), x) > psnr(guess, x)).all(), name


def test_no_weight_of_total_variation_may_be_zero() -> None:
    from classical_solvers import TotalVariation

    with pytest.raises(ValueError, match=r"TotalVariation\.weight must be positive, got 0"):
        TotalVariation(weight=0)


@pytest.mark.usefixtures("no_bm3d")
def test_bm3d_is_given_noise_that_falls_to_that_of_y(monkeypatch: pytest.MonkeyPatch) -> None:
    import classical_solvers

    levels = []
    monkeypatch.setattr(classical_solvers, "bm3d", lambda x, sigma, white: levels.append(sigma) or x)
    problem, x = problem_of("deblurring")
    assert (
        classical_solvers.BM3DPlugAndPlay(3, start=classical_solvers.TotalVariation(2))(problem).shape
        == x.shape
    )
    assert levels == pytest.approx([0.2, 0.1, 0.05])


def test_bicubic_enlarges_what_an_operator_made_smaller() -> None:
    from classical_solvers import Bicubic

    problem, x = problem_of("super_resolution", size=32)
    enlarged = Bicubic()(problem)
    assert (psnr(enlarged, x) > psnr(problem.measurement.operator.pinv(problem.y), x)).all()
    with pytest.raises(TypeError, match="needs an operator that makes images smaller, got Inpainting"):
        Bicubic()(problem_of("inpainting")[0])


@pytest.mark.usefixtures("no_bm3d")
def test_restored_photographs_are_told_of_every_method(
    tmp_path: Path, prior: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import photographs_restored as script
    from photograph_problems import SOLVERS

    few = {name: found[:2] for name, found in script.CLASSICAL.items()}
    monkeypatch.setattr(script, "CLASSICAL", few)
    page, folder = tmp_path / "page.md", tmp_path / "results"
    words = ["--prior", prior, "--limit", "1", "--size", "16", "--steps", "2", "2"]
    words += ["--problems", "super_resolution", "--folder", str(folder), "--page", str(page)]
    script.main([*words, "--accelerator", "cpu"])
    text = page.read_text()
    for name in ("bicubic", "bm3d", "pseudo_inverse", "total_variation", *SOLVERS):
        assert text.count(f"\n| {name} | ") == 2, name  # the overview and the table
        assert text.count(f"| super_resolution | {name} | ") == 1, name  # the settings
    assert page.with_name("photographs.webp").stat().st_size > 1000
    page.unlink()
    script.main([*words, "--page_only"])
    assert page.read_text() == text


def test_presets_are_written_for_each_problem(tmp_path: Path, prior: str) -> None:
    from photograph_presets import main
    from photograph_problems import candidates

    folder, root = tmp_path / "presets", noise_pictures(tmp_path / "pictures")
    words = ["--prior", prior, "--root", root, "--folder", str(folder), "--accelerator", "cpu"]
    words += ["--count", "2", "--size", "16", "--steps", "2", "2", "--problems", "inpainting"]
    main([*words, "--solvers", "ddrm", "diffpir"])
    chosen = read_config(folder / "inpainting.yaml")["model"]["solvers"]
    assert list(chosen) == ["ddrm", "diffpir"]
    for name, known in candidates((2, 2)).items():
        if name in chosen:
            summary = json.loads((folder / "jobs" / name / "summary.json").read_text())
            told = summary["problems"]["inpainting"]["solvers"]
            reached = [told[f"{name}_{k}"]["psnr"]["mean"] for k in range(len(known))]
            assert chosen[name] == known[reached.index(max(reached))]


def test_pieces_are_the_middles_of_training_noise_pictures(tmp_path: Path) -> None:
    from middle_crops import MiddleCrops

    data = MiddleCrops(noise_pictures(tmp_path, count=4), size=8, count=2)
    whole = ImageFolder(str(tmp_path), 16).dataset("train")
    found = data.dataset("train")
    assert len(found) == 2
    assert list(found.names) == list(whole.names[:2])
    torch.testing.assert_close(found[0]["image"], whole[0]["image"][:, 4:12, 4:12])
