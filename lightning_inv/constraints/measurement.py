"""What was seen of an image."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_inv.constraints.base import Constraint
from lightning_inv.noise import NoiseStream
from lightning_inv.noise_models import GaussianNoise, Noise
from lightning_inv.operators import Images, Operator


class Measurement(Constraint):
    """y = A(x) with noise; the energy is |y - A(x)|^2 / 2.

    There is no 1 / sigma^2 in the energy, so sigma = 0 is legal. Where the noise differs from entry to
    entry, their squares are weighted by 1 / variance, with a mean weight of 1.

    Args:
        operator: The operator A.
        sigma: The standard deviation of white Gaussian noise, in units of an image in [-1, 1]. Papers that
            quote it for images in [0, 1] mean half of this number.
        noise: Noise of another kind, instead of ``sigma``.

    Raises:
        ValueError: A setting of the noise is out of its range, or there are both sigma and noise.
    """

    def __init__(self, operator: Operator, sigma: float = 0.0, noise: Noise | None = None) -> None:
        super().__init__()
        if noise is not None and sigma:
            raise ValueError(
                f"measurement.sigma is that of Gaussian noise; leave it out with {type(noise).__name__}, "
                f"got {sigma}."
            )
        self.operator, self.noise = operator, noise or GaussianNoise(sigma)
        self.noise.check()

    @property
    def sigma(self) -> float | Tensor | None:
        """The standard deviation of Gaussian noise: a number or a tensor; None for other noise."""
        return self.noise.sigma if isinstance(self.noise, GaussianNoise) else None

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        """Raises ValueError if images of this shape and these names cannot be measured."""
        self.operator.check(shape, names)

    @property
    def random(self) -> bool:
        """Whether operator or noise are drawn, so that they are not known of a y measured elsewhere."""
        return self.operator.random or self.noise.random

    def fingerprint(self) -> Any:
        """Plain data that change when a file that operator or noise read does."""
        return [self.operator.fingerprint(), self.noise.fingerprint()]

    def prepare(self, images: Images) -> "Measurement":
        """The measurement of these images."""
        operator = self.operator.prepare(images)
        return Measurement(operator, noise=self.noise.prepare(images.rng))

    def observe(self, x: Tensor, rng: NoiseStream) -> Tensor:
        """Draws y given x; where nothing is seen y is 0."""
        y = self.operator(x)
        return self.noise.add(y, rng) * self.operator.observed(y)

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        """The difference y - A(x) where something was seen, 0 elsewhere."""
        return (y - self.operator(x)) * self.operator.observed(y)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        residual, weight = self.residual(x, y), self.noise.weight(y)
        if not isinstance(weight, Tensor):
            return weight / 2 * torch.linalg.vecdot(residual.flatten(1), residual.flatten(1))
        return torch.linalg.vecdot((weight * residual).flatten(1), residual.flatten(1)) / 2

    def entries(self, x: Tensor, y: Tensor) -> int:
        return y[0].numel()

    def variance(self, y: Tensor) -> Tensor:
        """The variance of the noise, averaged over the entries of y, shape ``(B, 1, 1, 1)``."""
        deviation = torch.as_tensor(self.noise.deviation(y), dtype=y.dtype, device=y.device)
        return deviation.square().expand_as(y).flatten(1).mean(1).view(-1, 1, 1, 1)

    def consistency(self, x: Tensor, y: Tensor) -> Tensor:
        """|A x - y| over the deviation of the noise, root mean square over what was seen, shape ``(B,)``.

        It is about 1 for the true x. Without noise it is in units of x.
        """
        residual, observed = self.residual(x, y), self.operator.observed(y).expand_as(y)
        deviation = self.noise.deviation(y)
        residual = residual / (deviation if isinstance(deviation, Tensor) else deviation or 1.0)
        count = observed.flatten(1).sum(1).clamp(min=1)
        return (residual.square().flatten(1).sum(1) / count).sqrt()
