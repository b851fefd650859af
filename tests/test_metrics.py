"""Measures against scikit-image."""

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lightning_inv.metrics import psnr, ssim


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.rand(3, 1, 32, 32) * 2 - 1
    return (truth + 0.2 * torch.randn_like(truth)).clamp(-1, 1), truth


def test_psnr_is_that_of_scikit_image(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    restored, truth = pair
    pairs = zip(restored.numpy(), truth.numpy(), strict=True)
    expected = [peak_signal_noise_ratio(t, r, data_range=2) for r, t in pairs]
    assert psnr(restored, truth).tolist() == pytest.approx(expected, abs=1e-4)


def test_ssim_is_that_of_scikit_image(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The map over all pixels is compared; the two pad the border in slightly different ways."""
    restored, truth = pair
    settings = {"data_range": 1, "gaussian_weights": True, "use_sample_covariance": False, "full": True}
    expected = [
        structural_similarity(t[0].numpy() / 2 + 0.5, r[0].numpy() / 2 + 0.5, **settings)[1].mean()
        for r, t in zip(restored, truth, strict=True)
    ]
    assert ssim(restored, truth).tolist() == pytest.approx(expected, abs=3e-3)


def test_what_is_outside_the_range_is_clipped(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    truth = torch.ones(1, 1, 16, 16)
    assert psnr(truth + 3, truth).item() == float("inf")


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_image_does_not_depend_on_its_batch(measure: type, pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    restored, truth = pair
    singles = torch.cat([measure(restored[i : i + 1], truth[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(measure(restored, truth), singles)
