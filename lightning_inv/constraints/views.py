"""Views: what a constraint sees of an image."""

import abc
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_inv.noise import NoiseStream


@dataclass(frozen=True)
class View(abc.ABC):
    """Shows images, once or several times, so that an energy is a mean over what it shows."""

    @abc.abstractmethod
    def __call__(self, x: Tensor, rng: NoiseStream) -> list[Tensor]:
        """What is shown of images x, shape ``(B, C, H, W)`` each."""


@dataclass(frozen=True)
class Plain(View):
    """The image as it is."""

    def __call__(self, x: Tensor, rng: NoiseStream) -> list[Tensor]:
        return [x]


@dataclass(frozen=True)
class Clipped(View):
    """The image clipped to [-1, 1]; where it is outside, the constraint does not pull.

    Source: Graikos et al. (2022), the MNIST experiment.
    """

    def __call__(self, x: Tensor, rng: NoiseStream) -> list[Tensor]:
        return [x.clamp(-1, 1)]


@dataclass(frozen=True)
class Augmented(View):
    """Copies that are mirrored, lightened or blurred at random, then clipped to [-1, 1].

    A classifier is harder to fool by what it sees in several ways. The defaults are those of the experiment
    on faces.

    Source: the code of Graikos et al. (2022).

    Args:
        copies: The number of copies.
        flip: The probability that a copy is mirrored left to right.
        lighten: The light (x + 1) / 2 is multiplied by 1 + U(-lighten, lighten), in every other copy.
        blur: Every other copy is blurred by a Gaussian of 7 taps, of standard deviation U(0, blur) pixels.

    Raises:
        ValueError: A setting is out of its range.
    """

    copies: int = 8
    flip: float = 0.5
    lighten: float = 0.2
    blur: float = 5.0

    def __post_init__(self) -> None:
        if (
            self.copies < 1
            or not 0 <= self.flip <= 1
            or not 0 <= self.lighten <= 1
            or not 0 <= self.blur < math.inf
        ):
            raise ValueError(
                "Augmented needs copies of at least 1, flip and lighten in [0, 1] and blur of at least 0, "
                f"got {self.copies}, {self.flip}, {self.lighten} and {self.blur}."
            )

    def __call__(self, x: Tensor, rng: NoiseStream) -> list[Tensor]:
        return [self._copy(x, rng.uniform((5,)).T[..., None, None, None]) for _ in range(self.copies)]

    def _copy(self, x: Tensor, u: Tensor) -> Tensor:
        """One copy; u are uniform numbers, shape ``(5, B, 1, 1, 1)``."""
        x = torch.where(u[0] < self.flip, x.flip(-1), x)
        light = (x + 1) / 2 * (1 + self.lighten * (2 * u[1] - 1) * (u[2] < 0.5))
        x = 2 * light - 1
        x = torch.where(u[3] < 0.5, blurred(x, self.blur * u[4]), x) if self.blur else x
        return x.clamp(-1, 1)


def blurred(x: Tensor, std: Tensor) -> Tensor:
    """Images blurred by Gaussians of 7 taps with these deviations in pixels, shape ``(B, 1, 1, 1)``."""
    B, C, H, W = x.shape
    place = torch.arange(-3, 4, device=x.device)
    taps = (-(place**2) / (2 * std.view(B, 1) ** 2 + 1e-6)).softmax(1)
    rows = taps.repeat_interleave(C, 0)[:, None, :, None]
    x = F.pad(x.reshape(1, B * C, H, W), (3, 3, 3, 3), mode="reflect")
    x = F.conv2d(F.conv2d(x, rows, groups=B * C), rows.mT, groups=B * C)
    return x.view(B, C, H, W)
