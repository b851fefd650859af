"""Mean and variance of samples that nobody holds all at once."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """How many samples there were, their mean, and the sum of their squared distances from it.

    Source: Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance, equations 2.1.

    Args:
        count: The number of samples.
        mean: Their mean, any shape.
        squares: The sum over samples of (x - mean)^2, the shape of the mean.
    """

    count: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, samples: Tensor) -> "Moments":
        """The moments of samples, shape ``(K, ...)``, in double precision."""
        samples = samples.double()
        mean = samples.mean(0)
        return cls(len(samples), mean, (samples - mean).square().sum(0))

    def __add__(self, other: "Moments") -> "Moments":
        """The moments of the samples of both."""
        count, apart = self.count + other.count, other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        squares = self.squares + other.squares + apart.square() * (self.count * other.count / count)
        return Moments(count, mean, squares)

    @property
    def variance(self) -> Tensor:
        """The unbiased variance; no number for one sample."""
        return self.squares / (self.count - 1) if self.count > 1 else self.squares * float("nan")
