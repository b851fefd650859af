"""Exact posteriors, to hold solvers against.

With a Gaussian prior or a mixture of Gaussians and y = A x + noise, p(x | y) is known in closed form. All is
dense, in double precision: for small images only.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_inv.denoisers import GaussianDenoiser, MixtureDenoiser
from lightning_inv.noise import NoiseStream


class Posterior(NamedTuple):
    """A mixture of Gaussians over images of n pixels, in double precision."""

    weights: Tensor
    """Shape ``(K,)``."""
    means: Tensor
    """Shape ``(K, n)``."""
    covariances: Tensor
    """Shape ``(K, n, n)``."""

    @property
    def mean(self) -> Tensor:
        """E[x | y], shape ``(n,)``."""
        return self.weights @ self.means

    @property
    def covariance(self) -> Tensor:
        """Cov[x | y], shape ``(n, n)``."""
        apart = self.means - self.mean
        between = apart.mT @ (self.weights[:, None] * apart)
        return between + (self.weights[:, None, None] * self.covariances).sum(0)

    def sample(self, rng: NoiseStream) -> Tensor:
        """One draw for each stream, shape ``(B, n)``."""
        k = (rng.uniform((1,)).double() > self.weights.cumsum(0)).sum(1).clamp(max=len(self.weights) - 1)
        values, basis = torch.linalg.eigh(self.covariances)
        root = basis * values.clamp(min=0).sqrt()[:, None, :]
        noise = rng.normal((self.means.shape[1], 1)).double()
        return self.means[k] + (root[k] @ noise).squeeze(-1)


def exact_posterior(
    prior: GaussianDenoiser | MixtureDenoiser, A: Tensor, y: Tensor, sigma_y: float
) -> Posterior:
    """The posterior of x given y = A x + sigma_y z.

    For each component N(m, S): K = S A^T (A S A^T + sigma_y^2 I)^+, mean m + K (y - A m), covariance
    (I - K A) S, and a weight in proportion to its own times N(y; A m, A S A^T + sigma_y^2 I).

    Args:
        prior: The prior.
        A: The operator as a matrix, shape ``(m, n)``.
        y: What was measured, shape ``(m,)``.
        sigma_y: The standard deviation of its noise.

    Raises:
        ValueError: Without noise, y is not A x for any x of the prior.
    """
    A, y = A.double(), y.double()
    mixed = isinstance(prior, MixtureDenoiser)
    components = list(prior.components) if mixed else [prior]
    weights = prior.weights if mixed else torch.ones(1, dtype=torch.double)
    found, log_weights = [], []
    for component, weight in zip(components, weights, strict=True):
        mean = component.mean.double().flatten()
        S = (component.basis * component.variances) @ component.basis.mT
        spread = A @ S @ A.mT + sigma_y**2 * torch.eye(len(y), dtype=torch.double)
        values, basis = torch.linalg.eigh(spread)
        seen = values > 1e-9 * values.max()
        inverse = (basis[:, seen] / values[seen]) @ basis[:, seen].mT
        K, apart = S @ A.mT @ inverse, y - A @ mean
        found.append((mean + K @ apart, S - K @ A @ S))
        outside = apart - basis[:, seen] @ (basis[:, seen].mT @ apart)
        size = (2 * math.pi * values[seen]).log().sum()
        density = -0.5 * (apart @ inverse @ apart + size)
        possible = outside.abs().max() < 1e-5 * (1 + apart.abs().max())
        log_weights.append(weight.log() + density if possible else density.new_tensor(-math.inf))
    if all(weight == -math.inf for weight in log_weights):
        raise ValueError("no image of this prior gives this y without noise.")
    means, covariances = (torch.stack(part) for part in zip(*found, strict=True))
    return Posterior(torch.stack(log_weights).softmax(0), means, covariances)
