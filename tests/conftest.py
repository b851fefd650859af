"""Small problems whose answers are known."""

import pytest
import torch

from lightning_inv.denoisers import GaussianDenoiser


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def scalar_prior() -> GaussianDenoiser:
    """x ~ N(0.1, 0.25 I), shape (1, 4, 4)."""
    return GaussianDenoiser(torch.full((1, 4, 4), 0.1), 0.25 * torch.eye(16))


def random_covariance(n: int, seed: int = 0) -> torch.Tensor:
    """A full covariance, shape ``(n, n)``, with eigenvalues between 0.05 and about 1."""
    factor = torch.randn(n, n, generator=torch.Generator().manual_seed(seed)) / n**0.5
    return 0.5 * factor @ factor.mT + 0.05 * torch.eye(n)
