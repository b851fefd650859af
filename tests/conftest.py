"""Small problems whose answers are known."""

import pytest
import torch

from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Images

SHAPE = (3, 8, 8)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def images(count: int, first: int = 0) -> Images:
    """Colour images of 8 x 8 pixels to prepare an operator for."""
    indices = range(first, first + count)
    return Images(SHAPE, [f"image{i}" for i in indices], NoiseStream.of(0, indices, "operator"))


def random_covariance(n: int, seed: int = 0) -> torch.Tensor:
    """A full covariance, shape ``(n, n)``, with eigenvalues between 0.05 and about 1."""
    factor = torch.randn(n, n, generator=torch.Generator().manual_seed(seed)) / n**0.5
    return 0.5 * factor @ factor.mT + 0.05 * torch.eye(n)
