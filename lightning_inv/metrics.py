"""Measures of restored images, one number an image. Images in [-1, 1]; what is outside is clipped first."""

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure


def psnr(restored: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, 10 log10(4 / mean squared error), shape ``(B,)``.

    Args:
        restored: Images, shape ``(B, C, H, W)``.
        truth: The true images, the same shape.
    """
    error = (restored.clamp(-1, 1) - truth.clamp(-1, 1)).square().flatten(1).mean(1)
    return 10 * torch.log10(4 / error.cpu().double())


def ssim(restored: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity with a Gaussian window of 11 pixels (Wang et al. 2004), shape ``(B,)``.

    Images are moved to [0, 1] first, since the measure depends on where zero is. The mean is over all pixels;
    scikit-image leaves a border of 5 pixels out.

    Args:
        restored: Images, shape ``(B, C, H, W)``.
        truth: The true images, the same shape.
    """
    restored, truth = (image.clamp(-1, 1) / 2 + 0.5 for image in (restored, truth))
    scores = structural_similarity_index_measure(restored, truth, data_range=1.0, reduction="none")
    return scores.reshape(len(restored))
