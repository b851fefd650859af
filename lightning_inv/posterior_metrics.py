"""How well samples describe what is not known, without knowing the posterior: one number an image.

Samples have the shape ``(K, B, C, H, W)``, the true images ``(B, C, H, W)``, in units of images in [-1, 1].
Nothing is clipped: clipped samples would tie. Each measure is a mean over pixels and channels, shape
``(B,)``. The scores are the fair ones: their mean over draws does not depend on K.

Source: Gneiting & Raftery (2007), Strictly proper scoring rules, prediction, and estimation; Ferro (2014),
Fair scores for ensemble forecasts; Fortin et al. (2014), Why should ensemble spread match the RMSE of the
ensemble mean?
"""

import math

import torch
from torch import Tensor


def spread(samples: Tensor) -> Tensor:
    """The square root of the variance of samples (the unbiased one), averaged over pixels, shape ``(B,)``."""
    return samples.var(0, correction=1).flatten(1).mean(1).sqrt()


def skill(samples: Tensor, truth: Tensor) -> Tensor:
    """The root mean square error of the mean of the samples, shape ``(B,)``."""
    return (samples.mean(0) - truth).square().flatten(1).mean(1).sqrt()


def spread_skill(spreads: list[float], skills: list[float], count: int) -> float | None:
    """sqrt((K + 1) / K) times the spread over the error, each a root mean square over images.

    It is 1 if samples and truth are drawn from one distribution, less if samples are too sure of themselves.

    Args:
        spreads: ``spread`` of each image.
        skills: ``skill`` of each image.
        count: The number K of samples.

    Returns:
        The ratio; None where there is no error at all.
    """
    error = math.fsum(value**2 for value in skills)
    return math.sqrt((count + 1) / count * math.fsum(s**2 for s in spreads) / error) if error else None


def nominal_coverage(count: int, level: float = 0.9) -> float:
    """What ``coverage`` is on average for samples of the posterior.

    It is ``level`` if the interval between the extremes of K samples, which holds (K - 1) / (K + 1), is as
    wide as that: for 0.9 from 19 samples on.
    """
    return min(level, (count - 1) / (count + 1))


def coverage(samples: Tensor, truth: Tensor, level: float = 0.9) -> Tensor:
    """The share of pixels whose true value is within the central interval of the samples, shape ``(B,)``.

    The interval from the r-th smallest to the r-th largest of K samples of the posterior holds the truth with
    probability 1 - 2 r / (K + 1), whatever the posterior. Where r = (1 - level) (K + 1) / 2 is no whole
    number, the shares of the two nearest are interpolated; for 0.9 it is one at K = 20 k - 1. A value on the
    border is within.

    Args:
        samples: Samples, shape ``(K, B, C, H, W)``.
        truth: The true images, shape ``(B, C, H, W)``.
        level: The share that the interval should hold; see ``nominal_coverage`` for few samples.
    """
    K, ranked = len(samples), samples.sort(0).values
    rank = (1 - nominal_coverage(K, level)) * (K + 1) / 2
    rank = round(rank) if abs(rank - round(rank)) < 1e-9 else rank

    def share(r: int) -> Tensor:
        inside = (ranked[r - 1] <= truth) & (truth <= ranked[K - r])
        return inside.flatten(1).float().mean(1)

    whole = math.floor(rank)
    return torch.lerp(share(whole), share(whole + 1), rank - whole) if rank > whole else share(whole)


def crps(samples: Tensor, truth: Tensor) -> Tensor:
    """The continuous ranked probability score, E|X - x| - E|X - X'| / 2, mean over pixels, shape ``(B,)``.

    The sum over pairs comes from the sorted samples, so that memory is that of the samples.
    """
    K = len(samples)
    weights = torch.arange(1 - K, K, 2, device=samples.device).to(samples.dtype) / (K * (K - 1))
    apart = torch.einsum("k,k...->...", weights, samples.sort(0).values)
    return ((samples - truth).abs().mean(0) - apart).flatten(1).mean(1)


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    """E|X - x| - E|X - X'| / 2 with root mean squares over pixels as norms, shape ``(B,)``.

    Unlike ``crps`` it tells whether pixels vary together as they should.
    """
    K, x = len(samples), samples.flatten(2).transpose(0, 1)
    exact = "donot_use_mm_for_euclid_dist"  # the other way loses digits
    to_truth = torch.cdist(x, truth.flatten(1)[:, None], compute_mode=exact).mean((1, 2))
    apart = torch.cdist(x, x, compute_mode=exact).sum((1, 2)) / (2 * K * (K - 1))
    return (to_truth - apart) / math.sqrt(x.shape[2])
