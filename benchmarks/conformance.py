"""Compares what solvers draw with the exact posterior and writes docs/conformance.md.

    python benchmarks/conformance.py

No data and no trained prior are needed: the priors are Gaussians, whose denoiser and posterior are exact.
"""

import argparse
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import GaussianDenoiser, MixtureDenoiser
from lightning_inv.noise import NoiseStream, generator
from lightning_inv.operators import Coding, DenseMatrix, Images, LinearOperator
from lightning_inv.posteriors import Posterior, exact_posterior
from lightning_inv.solvers import (
    DDRM,
    DDRMJPEG,
    Grid,
    PlugAndPlay,
    Problem,
    PseudoInverse,
    REDDiff,
    Solver,
    Unconditional,
)

SHAPE, N, MEASURED = (2, 2, 3), 12, 5
SIGMAS = (0.0, 0.02, 0.1, 0.5)
STEPS = (20, 100, 1000)
SEEN = torch.linalg.qr(torch.randn(N, N, generator=generator("directions")))[0][:MEASURED]
ROWS = torch.tensor([1.0, 0.8, 0.6, 0.4, 0.2])[:, None] * SEEN

PRESET = Grid("quadratic", 0.5, 0.02)
SOLVERS = {
    "DDRM (eta 0.85, eta_b 1)": DDRM,
    "DDRM (eta 1, eta_b 1)": partial(DDRM, eta=1.0),
    "RED-diff": REDDiff,
    "RED-diff, preset of inpainting": partial(REDDiff, weight=0.5, start_from="wiener", plan=PRESET),
    "plug-and-play": PlugAndPlay,
    "plug-and-play, preset of inpainting": partial(
        PlugAndPlay, lr=0.05, weight=50.0, anneal=False, start_from="wiener", plan=PRESET
    ),
}
"""Settings of the papers unless said; those of the presets are in configs/solvers/inpainting.yaml."""


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

    def solve(self, solver: Solver) -> Tensor:
        """Results of a solver, shape ``(samples, images, n)``."""
        y = self.y.repeat_interleave(self.samples, 0)
        problem = Problem(y, self.measurement, self.prior, stream(len(y), "solver"))
        x = solver(problem).double().view(self.images, self.samples, N)
        return x.transpose(0, 1)

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


def rows(options: argparse.Namespace) -> Iterator[tuple[str, str, str, str, Row]]:
    """Prior, noise, solver, steps and the comparison of each run."""
    size = options.images, options.samples
    for kind, prior in {"Gaussian": gaussian(), "mixture of three Gaussians": mixture()}.items():
        for sigma in SIGMAS:
            bench, noise = Bench(prior, sigma, DenseMatrix(ROWS.tolist()), *size), f"sigma {sigma:g}"
            yield kind, noise, "exact posterior", "-", bench.compare(bench.truth())
            yield kind, noise, "pseudo-inverse", "-", bench.compare(bench.solve(PseudoInverse()))
            for name, make in SOLVERS.items():
                for steps in options.steps:
                    print(kind, noise, name, steps, flush=True)
                    yield kind, noise, name, str(steps), bench.compare(bench.solve(make(steps=steps)))
        coded, noise = Bench(prior, 0.0, Projection(), *size), "a linear coding in the place of JPEG"
        for steps in (20, 100, 300):
            solver = DDRMJPEG(steps)
            yield kind, noise, "DDRM for JPEG", str(steps), coded.compare(coded.solve(solver))
        blind, noise = Bench(prior, 1e6, DenseMatrix(ROWS.tolist()), *size), "nothing is measured"
        for name, eta in {"DDIM": 0.0, "DDPM": 1.0}.items():
            for steps in options.steps:
                solver = Unconditional(steps, eta)
                yield kind, noise, name, str(steps), blind.compare(blind.solve(solver))


def page(found: list[tuple[str, str, str, str, Row]], options: argparse.Namespace) -> str:
    """The whole page, in Markdown."""
    most: dict[str, list[Row]] = {}
    last = {name: max(int(s) for _, _, n, s, _ in found if n == name and s != "-") for name in names(found)}
    for _, _, name, steps, row in found:
        if name in last and steps == str(last[name]):
            most.setdefault(name, []).append(row)
    right = [name for name, all_rows in most.items() if all(row.right for row in all_rows)]
    wrong = [name for name in most if name not in right]
    sections = {}
    for kind, noise, name, steps, row in found:
        sections.setdefault(f"{kind[0].upper()}{kind[1:]} prior, {noise}", []).append(line(name, steps, row))
    tables = [f"## {title}\n\n{HEAD}\n" + "\n".join(lines) for title, lines in sections.items()]
    words = ["git", "--no-optional-locks", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()
    head = INTRODUCTION.format(
        commit=commit,
        torch=torch.__version__,
        images=options.images,
        samples=options.samples,
        bias=BIAS,
        right=f"**Consistent here: {', '.join(right) or 'no solver'}.**",
        wrong=f"**Not consistent: {', '.join(wrong) or 'none'}.**",
    )
    return "\n\n".join([head, *tables]) + "\n"


def names(found: list[tuple[str, str, str, str, Row]]) -> list[str]:
    """The solvers that have steps, in order."""
    return list(dict.fromkeys(name for _, _, name, steps, _ in found if steps != "-"))


def line(name: str, steps: str, row: Row) -> str:
    """A row of a table."""
    pairs = zip(row.bias, row.spread, row.coverage, strict=True)
    cells = ["- | - | -" if b is None else f"{b:.2f} | {s:.2f} | {100 * c:.0f} %" for b, s, c in pairs]
    return f"| {name} | {steps} | {' | '.join(cells)} | {row.consistency:.2f} |"


HEAD = """\
| solver | steps | bias, seen | spread | coverage | bias, unseen | spread | coverage | \\|Ax-y\\|/sigma |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""

INTRODUCTION = """\
# Conformance

Made by `benchmarks/conformance.py`, not by hand: commit {commit}, torch {torch}, CPU, seed 0. Sigma is in
units of images in [-1, 1]; half of it in those of [0, 1].

Each solver equals an oracle of its own (`tests/test_conformance.py`): it does what its paper says. This page
is about another question: is what it draws the posterior? A solver is consistent if mean, spread and coverage
approach those of p(x given y) as its steps grow.

{right}
{wrong}

Here the prior is exact: Gaussians of full covariance over 12 pixels in two channels, whose denoiser and
posterior are known in closed form. The operator sees 5 directions of the 12, with singular values 1, 0.8,
0.6, 0.4, 0.2. For {images} draws of the prior, each with its y, {samples} results of each solver are compared
with the exact posterior, along the directions that are seen and along those that are not:

- bias: root mean square of E[results] - E[x given y], in standard deviations of the posterior; 0 is right;
- spread: standard deviation of results over that of the posterior; 1 is right;
- coverage: how often the true value is within the interval of 90 % of the results; 90 % is right;
- \\|Ax-y\\|/sigma: root mean square, in units of x where sigma is 0; about 1 for the true x.

The rows "exact posterior" are draws of the posterior itself: what chance does to these numbers. A solver is
called consistent if with the most steps, in every table, bias is below {bias:g}, spread within 10 % and
coverage between 80 and 97 %. "-": y tells these directions exactly. RED-diff and plug-and-play are point
estimates: their spread is noise of the optimiser. With nothing measured, DDIM and DDPM are compared with
the prior."""
BIAS = 0.15
"""The largest bias that chance may explain."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs everything and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--samples", type=int, default=39, help="20 k - 1")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--page", type=Path, default=Path(__file__).parents[1] / "docs" / "conformance.md")
    options = parser.parse_args(args)
    options.page.write_text(page(list(rows(options)), options))


if __name__ == "__main__":
    main()
