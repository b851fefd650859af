"""Problems whose posterior is known exactly, and how far the results of a solver are from it."""

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import GaussianDenoiser, MeteredDenoiser, MixtureDenoiser
from lightning_inv.noise import NoiseStream, generator
from lightning_inv.operators import Coding, Images, LinearOperator
from lightning_inv.posteriors import Posterior, exact_posterior
from lightning_inv.solvers import Problem, Solver

SHAPE, N, MEASURED = (2, 2, 3), 12, 5
SEEN = torch.linalg.qr(torch.randn(N, N, generator=generator("directions")))[0][:MEASURED]
ROWS = torch.tensor([1.0, 0.8, 0.6, 0.4, 0.2])[:, None] * SEEN
BIAS = 0.15
"""The largest bias that chance may explain."""


class Projection(LinearOperator, Coding):
    """A coding that is linear: what is lost is the part of x outside the directions seen."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("P", SEEN.mT @ SEEN)

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self.P).view_as(x)

    adjoint = forward


class Row(NamedTuple):
    """How far samples are from the posterior, along directions that y tells of and along the others."""

    bias: list[float | None]
    """The root mean square of E[samples] - E[x | y], in deviations of the posterior."""
    spread: list[float | None]
    """The deviation of samples over that of the posterior."""
    coverage: list[float | None]
    """The share of true values in the intervals of 90 % that samples give."""
    consistency: float
    """|A x - y|, root mean square, in units of sigma, or of x if there is no noise."""

    @property
    def distance(self) -> float:
        """sqrt(bias^2 + (spread - 1)^2), root mean square over the two kinds of directions."""
        told = [(b, s) for b, s in zip(self.bias, self.spread, strict=True) if b is not None]
        return (sum(b**2 + (s - 1) ** 2 for b, s in told) / len(told)) ** 0.5

    @property
    def right(self) -> bool:
        """Whether mean, spread and coverage are those of the posterior, as far as chance lets one see."""
        told = zip(self.bias, self.spread, self.coverage, strict=True)
        return all(b is None or (b < BIAS and 0.9 < s < 1.1 and 0.8 < c < 0.97) for b, s, c in told)


def gaussian(k: int = 0) -> GaussianDenoiser:
    """A Gaussian of full covariance over two channels."""
    factor = torch.randn(N, N, generator=generator("covariance", k)) / N**0.5
    mean = 0.7 * torch.randn(SHAPE, generator=generator("mean", k))
    return GaussianDenoiser(mean, 0.4 * factor @ factor.mT + 0.02 * torch.eye(N))


def mixture() -> MixtureDenoiser:
    """Three such Gaussians."""
    return MixtureDenoiser(torch.tensor([0.5, 0.3, 0.2]), [gaussian(k) for k in range(3)])


def stream(count: int, purpose: str) -> NoiseStream:
    """Random numbers for so many results."""
    return NoiseStream.of(0, range(count), purpose)


class Bench:
    """Measurements of draws of a prior, with their exact posteriors.

    Args:
        prior: The prior.
        sigma: The noise of y.
        operator: The operator.
        images: The number of measurements.
        samples: The number of results of a solver for each.
    """

    def __init__(
        self,
        prior: GaussianDenoiser | MixtureDenoiser,
        sigma: float,
        operator: LinearOperator,
        images: int,
        samples: int,
    ) -> None:
        self.prior, self.sigma, self.images, self.samples = prior, sigma, images, samples
        count = images * samples
        A = operator.prepare(Images(SHAPE, [str(i) for i in range(count)], stream(count, "operator")))
        self.measurement = Measurement(A, sigma)
        self.x = everything(prior).sample(stream(images, "truth"))
        y = self.measurement.observe(self.x.float().view(-1, *SHAPE), stream(images, "measurement"))
        self.y, self.A = y, A(torch.eye(N).view(N, *SHAPE)).flatten(1).mT.double()
        self.posteriors = [exact_posterior(prior, self.A, one.flatten(), sigma) for one in y]

    def solve(self, solver: Solver) -> tuple[Tensor, int]:
        """Results of a solver, shape ``(samples, images, n)``, and the evaluations that each took."""
        y, prior = self.y.repeat_interleave(self.samples, 0), MeteredDenoiser(self.prior)
        problem = Problem(y, self.measurement, prior, stream(len(y), "solver"))
        x = solver(problem).double().view(self.images, self.samples, N)
        return x.transpose(0, 1), prior.evaluations

    def truth(self) -> Tensor:
        """Draws of the posteriors, shape ``(samples, images, n)``."""
        draws = [p.sample(stream(self.samples, f"posterior {i}")) for i, p in enumerate(self.posteriors)]
        return torch.stack(draws, 1)

    def compare(self, x: Tensor) -> Row:
        """Compares results, shape ``(samples, images, n)``, with the posteriors."""
        means = torch.stack([p.mean for p in self.posteriors])
        variances = torch.stack([p.covariance for p in self.posteriors])
        rest = torch.linalg.svd(SEEN.double())[2][MEASURED:]
        columns: list[list[float | None]] = [[], [], []]
        for V in (SEEN.double(), rest):
            exact = torch.einsum("di,bij,dj->bd", V, variances, V)
            mine, truth, z = x @ V.mT, self.x @ V.mT, (x.mean(0) - means) @ V.mT
            if exact.mean() < 1e-9:  # known exactly
                found = [None, None, None]
            else:
                bias = (z.square().mean() - mine.var(0).mean() / self.samples).clamp(min=0)
                ranked, k = mine.sort(0).values, (self.samples + 1) // 20
                low, high = ranked[k - 1], ranked[-k]  # between them by chance 90 %, for 20 k - 1 results
                found = [(bias / exact.mean()).sqrt(), (mine.var(0).mean() / exact.mean()).sqrt()]
                found = [*map(float, found), float(((low <= truth) & (truth <= high)).double().mean())]
            for column, value in zip(columns, found, strict=True):
                column.append(value)
        residual = (x @ self.A.mT - self.y.flatten(1).double()).square().mean().sqrt()
        return Row(*columns, float(residual / (self.sigma or 1.0)))


def everything(prior: GaussianDenoiser | MixtureDenoiser) -> Posterior:
    """The prior itself: the posterior when nothing is seen."""
    return exact_posterior(prior, torch.zeros(1, N), torch.zeros(1), 1.0)
