"""Constraints: how badly an image x explains what was seen, y."""

import abc
import math
from collections.abc import Sequence

from torch import Tensor, nn

from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Images, Operator


class Constraint(nn.Module, abc.ABC):
    """An energy, small where x agrees with y."""

    @abc.abstractmethod
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The energy of each pair, summed over its entries, shape ``(B,)``."""


class Measurement(Constraint):
    """y = A(x) + sigma n with white noise n; the energy is |y - A(x)|^2 / 2.

    There is no 1 / sigma^2 in the energy, so sigma = 0 is legal.

    Args:
        operator: The operator A.
        sigma: The standard deviation of the noise, in units of an image in [-1, 1]. Papers that quote it for
            images in [0, 1] mean half of this number.

    Raises:
        ValueError: ``sigma`` is negative or not finite.
    """

    def __init__(self, operator: Operator, sigma: float = 0.0) -> None:
        super().__init__()
        if not (sigma >= 0 and math.isfinite(sigma)):
            raise ValueError(f"measurement.sigma must be a number of at least 0, got {sigma}.")
        self.operator, self.sigma = operator, sigma

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        """Raises ValueError if images of this shape and these names cannot be measured."""
        self.operator.check(shape, names)

    def prepare(self, images: Images) -> "Measurement":
        """The measurement of these images."""
        return Measurement(self.operator.prepare(images), self.sigma)

    def observe(self, x: Tensor, rng: NoiseStream) -> Tensor:
        """Draws y given x; where nothing is seen y is 0."""
        y = self.operator(x)
        return y + self.sigma * rng.normal(y.shape[1:]) * self.operator.observed(y)

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        """The difference y - A(x) where something was seen, 0 elsewhere."""
        return (y - self.operator(x)) * self.operator.observed(y)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.residual(x, y).square().flatten(1).sum(1) / 2

    def consistency(self, x: Tensor, y: Tensor) -> Tensor:
        """|A x - y|, root mean square over what was seen, shape ``(B,)``; about sigma for the true x."""
        count = self.operator.observed(y).expand_as(y).flatten(1).sum(1).clamp(min=1)
        return (self.residual(x, y).square().flatten(1).sum(1) / count).sqrt()
