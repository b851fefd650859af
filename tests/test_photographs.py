"""Scripts that measure a prior of photographs, in miniature."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lightning_inv.denoisers import GaussianDenoiser, VelocityDenoiser
from lightning_inv.metrics import psnr
from lightning_inv.networks import ConvUNet
from lightning_inv.priors import save_prior

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
def no_bm3d(monkeypatch: pytest.MonkeyPatch) -> None:
    """A BM3D that does nothing, so that no test needs the package or its seconds."""
    monkeypatch.setitem(sys.modules, "bm3d", SimpleNamespace(bm3d_rgb=lambda z, *settings: z))


@pytest.mark.usefixtures("no_bm3d")
def test_every_denoiser_is_told_at_every_noise(tmp_path: Path, prior: str) -> None:
    import denoising

    page = tmp_path / "page.md"
    words = ["--prior", prior, "--limit", "2", "--size", "16", "--sigmas", "15", "50"]
    denoising.main([*words, "--page", str(page)])
    text = page.read_text()
    for name in ("noisy", "prior, one call", "BM3D", "non-local means", "total variation"):
        assert text.count(f"\n| {name} | ") == 2  # PSNR and SSIM
    assert "| method | 15 | 50 | s / image |" in text
    assert "astronaut, coffee, 16 x 16" in text
    assert page.with_name("denoising.png").stat().st_size > 1000


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
    assert best_factor(x, y, 0.3, (1e-3, 1.0, 100.0)) == 1.0


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
