"""Denoisers: the diffusion prior p(x), seen through E[x | x_t]."""

import abc
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from lightning_inv.recipes import Recorded
from lightning_inv.schedules import Schedule


class Estimate(NamedTuple):
    """What a denoiser says of x_t = alpha_t x + sigma_t eps."""

    x: Tensor
    """E[x | x_t], shape ``(B, C, H, W)``."""
    eps: Tensor
    """E[eps | x_t], shape ``(B, C, H, W)``."""


class Denoiser(Recorded, nn.Module, abc.ABC):
    """A prior over images of one shape.

    Attributes:
        schedule: The noise schedule it was trained for.
        shape: The shape ``(C, H, W)`` of an image; ``(C, None, None)`` of one of any size.
        num_classes: The number of classes it must be told of, or None.
    """

    num_classes: int | None = None
    schedule: Schedule
    shape: tuple[int, int | None, int | None]

    @abc.abstractmethod
    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        """Estimates x and eps from x_t.

        Args:
            x_t: Noisy images, shape ``(B, C, H, W)``.
            t: Times in 1, ..., T, shape ``()`` or ``(B,)``.
            label: Classes, shape ``(B,)``, for priors that know classes.
        """

    @property
    def any_size(self) -> bool:
        """Whether its images may have any height and width."""
        return None in self.shape

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether it is a prior of images of this shape ``(C, H, W)``."""
        pairs = zip(shape, self.shape, strict=False)
        return len(shape) == len(self.shape) and all(own in (length, None) for length, own in pairs)

    def from_x(self, x: Tensor, x_t: Tensor, t: Tensor) -> Estimate:
        """The estimate whose image is ``x``; its noise follows from x_t."""
        alpha_t, sigma_t = self.schedule(t)
        return Estimate(x, (x_t - alpha_t * x) / sigma_t)

    def from_eps(self, eps: Tensor, x_t: Tensor, t: Tensor) -> Estimate:
        """The estimate whose noise is ``eps``; its image follows from x_t."""
        alpha_t, sigma_t = self.schedule(t)
        return Estimate((x_t - sigma_t * eps) / alpha_t, eps)
