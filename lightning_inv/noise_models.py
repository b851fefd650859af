"""Noise models: how the noise-free A(x) becomes the y that was measured.

Deviations are in units of an image in [-1, 1]. Where noise depends on intensity, that is (y + 1) / 2.
"""

import abc
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from lightning_inv.arrays import read_array
from lightning_inv.files import file_digest
from lightning_inv.noise import NoiseStream


@dataclass(frozen=True)
class Noise(abc.ABC):
    """What chance makes of noise-free measurements."""

    random: ClassVar[bool] = False
    """Whether ``prepare`` draws how strong the noise is: then it is not known of a y measured elsewhere."""

    @abc.abstractmethod
    def check(self) -> None:
        """Raises ValueError if a setting is out of its range."""

    def fingerprint(self) -> Any:
        """Plain data that change when a file that the noise reads does."""
        return None

    def prepare(self, rng: NoiseStream) -> "Noise":
        """The noise of these images, with what differs from image to image drawn."""
        return self

    @abc.abstractmethod
    def deviation(self, y: Tensor) -> Tensor | float:
        """The standard deviation of each entry of a noise-free y, broadcastable to y, ``(B, ...)``."""

    def add(self, y: Tensor, rng: NoiseStream) -> Tensor:
        """Draws what is measured given the noise-free y, shape ``(B, ...)``."""
        return y + self.deviation(y) * rng.normal(y.shape[1:])

    def weight(self, y: Tensor) -> Tensor | float:
        """The weight of each squared residual: 1 / variance, scaled to a mean of 1 for each image."""
        deviation = self.deviation(y)
        if not isinstance(deviation, Tensor) or deviation[0].numel() == 1:
            return 1.0
        precision = deviation.square().reciprocal().expand_as(y)
        return precision / precision.flatten(1).mean(1).view(-1, *(1,) * (y.ndim - 1))


@dataclass(frozen=True)
class GaussianNoise(Noise):
    """White noise.

    Args:
        sigma: The standard deviation. Papers that quote it for images in [0, 1] mean half of this number. In
            a notebook also one an image, shape ``(B,)``, or one an entry, shape ``(1 or B, ...)`` as y.
    """

    sigma: float | Tensor = 0.0

    def check(self) -> None:
        sigma = torch.as_tensor(self.sigma)
        if not ((sigma >= 0) & sigma.isfinite()).all():
            raise ValueError(f"measurement.sigma must be a number of at least 0, got {self.sigma}.")

    def deviation(self, y: Tensor) -> Tensor | float:
        if isinstance(self.sigma, Tensor) and self.sigma.ndim == 1:
            return self.sigma.view(-1, *(1,) * (y.ndim - 1))
        return self.sigma


@dataclass(frozen=True)
class VaryingNoise(Noise):
    """White Gaussian noise whose standard deviation is drawn for each image, evenly between two bounds.

    Args:
        low: The least standard deviation.
        high: The largest one.
    """

    random: ClassVar[bool] = True

    low: float = 0.05
    high: float = 0.2

    def check(self) -> None:
        if not (0 <= self.low <= self.high and math.isfinite(self.high)):
            raise ValueError(f"VaryingNoise needs 0 <= low <= high, got {self.low} and {self.high}.")

    def prepare(self, rng: NoiseStream) -> Noise:
        return GaussianNoise(self.low + (self.high - self.low) * rng.uniform((1,)).flatten())

    def deviation(self, y: Tensor) -> Tensor | float:
        raise TypeError("VaryingNoise must be prepared for its images first.")


@dataclass(frozen=True)
class NoiseMap(Noise):
    """Gaussian noise whose standard deviation differs from entry to entry of y, alike for all images.

    Args:
        path: A .npy file with the standard deviations, broadcastable to one y, such as ``(C, H, W)``.
    """

    path: str

    def check(self) -> None:
        sigma = read_array(Path(self.path))
        if not (sigma.isfinite().all() and (sigma > 0).all()):
            raise ValueError(f"the standard deviations in {self.path} must be positive and finite.")

    def fingerprint(self) -> Any:
        return file_digest(Path(self.path))

    def prepare(self, rng: NoiseStream) -> Noise:
        return GaussianNoise(read_array(Path(self.path)).float()[None].to(rng.device))

    def deviation(self, y: Tensor) -> Tensor | float:
        return read_array(Path(self.path)).to(y)[None]


@dataclass(frozen=True)
class PoissonNoise(Noise):
    """Counted photons: y = 2 n / rate - 1 with n ~ Poisson(rate (A(x) + 1) / 2).

    Solvers weigh residuals by the variance that y itself suggests.

    Args:
        rate: The photons counted where an image is white.
    """

    rate: float = 30.0

    def check(self) -> None:
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise ValueError(f"{type(self).__name__}.rate must be positive, got {self.rate}.")

    def deviation(self, y: Tensor) -> Tensor | float:
        return 2 * (((y + 1) / 2).clamp(min=1 / self.rate) / self.rate).sqrt()

    def add(self, y: Tensor, rng: NoiseStream) -> Tensor:
        return 2 * rng.poisson(self.rate * ((y + 1) / 2).clamp(min=0)) / self.rate - 1


@dataclass(frozen=True)
class PoissonGaussianNoise(PoissonNoise):
    """Counted photons, read out with white noise.

    Args:
        rate: The photons counted where an image is white.
        sigma: The standard deviation of the noise added.
    """

    sigma: float = 0.05

    def check(self) -> None:
        super().check()
        if not (self.sigma >= 0 and math.isfinite(self.sigma)):
            raise ValueError(f"PoissonGaussianNoise.sigma must be at least 0, got {self.sigma}.")

    def deviation(self, y: Tensor) -> Tensor | float:
        return (super().deviation(y) ** 2 + self.sigma**2).sqrt()

    def add(self, y: Tensor, rng: NoiseStream) -> Tensor:
        return super().add(y, rng) + self.sigma * rng.normal(y.shape[1:])


@dataclass(frozen=True)
class SaltAndPepper(Noise):
    """Some entries of y are replaced by -1 or 1, as likely each: a case that no solver here is made for.

    Args:
        fraction: The probability that an entry is replaced.
    """

    fraction: float = 0.05

    def check(self) -> None:
        if not 0 <= self.fraction <= 1:
            raise ValueError(f"SaltAndPepper.fraction must be in [0, 1], got {self.fraction}.")

    def deviation(self, y: Tensor) -> Tensor | float:
        return (self.fraction * (1 + y**2)).sqrt()

    def weight(self, y: Tensor) -> Tensor | float:
        return 1.0  # y does not tell which entries were replaced

    def add(self, y: Tensor, rng: NoiseStream) -> Tensor:
        u = rng.uniform(y.shape[1:])
        replaced = torch.where(u < self.fraction / 2, -1.0, 1.0)
        return torch.where(u < self.fraction, replaced, y)
