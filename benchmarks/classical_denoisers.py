"""Classical denoisers of colour images, alike for batches in [-1, 1] and noise in the same units."""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from skimage import restoration
from torch import Tensor
from total_variation import primal_dual

from lightning_inv.metrics import psnr

Image = npt.NDArray[np.float64]

Denoise = Callable[[Tensor, float], Tensor]
"""From noisy images, shape ``(B, 3, H, W)``, and the deviation of their noise to images."""


def bm3d(y: Tensor, sigma: float, white: bool = False) -> Tensor:
    """BM3D of the package ``bm3d``, in its opponent colours.

    Source: Dabov et al. (2007), Image denoising by sparse 3-D transform-domain collaborative filtering;
    the package is of Mäkinen et al. (2020), https://doi.org/10.1109/TIP.2020.3014721, for non-commercial use.

    Args:
        y: The noisy images.
        sigma: The deviation of their noise.
        white: Leave out what the package does for noise that is correlated.
    """
    from bm3d import BM3DProfile, bm3d_rgb  # only who measures it needs it

    profile = BM3DProfile()
    if white:
        profile.nf = profile.k = profile.gamma = 0
    return one_by_one(lambda image: bm3d_rgb(image, sigma / 2, profile), y)


def non_local_means(y: Tensor, sigma: float, factor: float = 0.6) -> Tensor:
    """Non-local means of scikit-image in its fast mode: patches of 5, distances up to 6, h = factor sigma.

    Source: Buades et al. (2005), https://doi.org/10.1109/CVPR.2005.38.
    """
    half = sigma / 2
    settings = {"patch_size": 5, "patch_distance": 6, "h": factor * half, "sigma": half, "fast_mode": True}
    return one_by_one(lambda image: restoration.denoise_nl_means(image, channel_axis=-1, **settings), y)


def total_variation(y: Tensor, sigma: float, factor: float = 1.0) -> Tensor:
    """The x that minimises |y - x|^2 / 2 + factor sigma TV(x), see ``primal_dual``.

    Source: Rudin, Osher & Fatemi (1992), Nonlinear total variation based noise removal algorithms.
    """
    iterates = primal_dual(lambda z, rho: (y + rho * z) / (1 + rho), y, factor * sigma, steps=300)
    return deque(iterates, maxlen=1).pop()


def best_factor(
    method: Callable[[Tensor, float, float], Tensor],
    x: Tensor,
    y: Tensor,
    sigma: float,
    factors: Sequence[float],
) -> float:
    """The factor of a method with the highest mean PSNR of these images ``x`` with noise, ``y``."""
    return max(factors, key=lambda factor: psnr(method(y, sigma, factor), x).mean().item())


def one_by_one(function: Callable[[Image], Image], y: Tensor) -> Tensor:
    """What a function of one image, shape ``(H, W, 3)`` in [0, 1], makes of a batch in [-1, 1]."""
    arrays = (image.permute(1, 2, 0).cpu().double().numpy() / 2 + 0.5 for image in y)
    done = [torch.from_numpy(np.asarray(function(array))) for array in arrays]
    return torch.stack(done).permute(0, 3, 1, 2).to(y).mul(2).sub(1)
