"""Every solver against its oracle, with a Gaussian and a mixture prior of full covariance and two channels.

A new solver joins by one line in ``CASES`` and a function in ``oracles.py``.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import guided_oracles as guided
import numpy as np
import oracles
import pytest
import torch
from conftest import random_covariance
from oracles import Array, World
from torch import Tensor

import lightning_inv.solvers
from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import GaussianDenoiser, MixtureDenoiser
from lightning_inv.noise import NoiseStream, generator
from lightning_inv.operators import Coding, DenseMatrix, Images, LinearOperator
from lightning_inv.solvers import (
    DAPS,
    DDNM,
    DDRM,
    DDRMJPEG,
    DPS,
    MCG,
    MMPS,
    SDS,
    TDS,
    DDNMPlus,
    Descent,
    DiffPIR,
    ExactGuidance,
    Grid,
    PiGDM,
    PlugAndPlay,
    Problem,
    PseudoInverse,
    REDDiff,
    RePaint,
    Solver,
    TimeTravel,
    Unconditional,
)

SHAPE, N, MEASURED = (2, 2, 3), 12, 5
ROWS = torch.randn(MEASURED, N, generator=generator("conformance")) / N**0.5
SGD = torch.optim.SGD


class Case(NamedTuple):
    """A solver, its oracle, and whether that is affine in the noise if the prior is Gaussian."""

    solver: Solver
    oracle: Callable[..., Array]
    affine: bool = True


CASES = {
    "DDRM": Case(DDRM(), partial(oracles.ddrm, steps=20, eta=0.85, eta_b=1.0)),
    "DDRM, eta": Case(DDRM(10, 1.0, 0.6), partial(oracles.ddrm, steps=10, eta=1.0, eta_b=0.6)),
    "DDRM, no noise": Case(DDRM(50, 0.0, 1.0), partial(oracles.ddrm, steps=50, eta=0.0, eta_b=1.0)),
    "DDIM": Case(Unconditional(20), partial(oracles.unconditional, steps=20, eta=0.0)),
    "DDPM": Case(Unconditional(50, eta=1.0), partial(oracles.unconditional, steps=50, eta=1.0)),
    "RED-diff": Case(
        REDDiff(20, lr=2.0, optimizer=SGD),
        lambda *a: oracles.reddiff(*a, 20, 0.25, oracles.plain(2.0)),
    ),
    "RED-diff, width": Case(
        REDDiff(20, lr=2.0, weight=0.5, sigma_x0=0.3, optimizer=SGD),
        lambda *a: oracles.reddiff(*a, 20, 0.5, oracles.plain(2.0), 0.3),
    ),
    "RED-diff, Adam": Case(
        REDDiff(20), lambda *a: oracles.reddiff(*a, 20, 0.25, oracles.adam(0.1, 0.9, 0.99)), affine=False
    ),
    "plug-and-play": Case(
        PlugAndPlay(20, lr=0.5, weight=1.0, plan=Grid(), optimizer=SGD, finish=5),
        lambda *a: oracles.plug_and_play(*a, 20, 1.0, oracles.plain(0.5), finish=5),
    ),
    "plug-and-play, detached": Case(
        PlugAndPlay(20, lr=0.5, weight=1.0, plan=Grid(), optimizer=SGD, jacobian=False),
        lambda *a: oracles.plug_and_play(*a, 20, 1.0, oracles.plain(0.5), jacobian=False),
    ),
    "plug-and-play, Adam": Case(
        PlugAndPlay(20, lr=0.05, weight=2.0, plan=Grid()),
        lambda *a: oracles.plug_and_play(*a, 20, 2.0, oracles.adam(0.05, 0.9, 0.999)),
        affine=False,
    ),
    "pseudo-inverse": Case(PseudoInverse(), oracles.pseudo_inverse),
    "SDS": Case(SDS(20, lr=2.0, optimizer=SGD), lambda *a: oracles.sds(*a, 20, oracles.plain(2.0))),
    "DDNM": Case(DDNM(20), partial(guided.ddnm, steps=20, eta=0.85)),
    "DDNM, time travel": Case(
        DDNM(10, 0.5, travel=TimeTravel(3, 2)),
        partial(guided.ddnm, steps=10, eta=0.5, length=3, repeats=2),
    ),
    "DDNM+": Case(DDNMPlus(20), partial(oracles.ddrm, steps=20, eta=0.85, eta_b=1.0, informed=False)),
    "RePaint": Case(
        RePaint(10, travel=TimeTravel(4, 3)), partial(guided.repaint, steps=10, length=4, repeats=3)
    ),
    "DPS": Case(DPS(20, 0.6, reference=20), partial(guided.dps, steps=20, zeta=0.3), affine=False),
    "DPS, DDIM": Case(
        DPS(20, 0.4, reference=None, eta=0.0),
        partial(guided.dps, steps=20, zeta=0.4, eta=0.0),
        affine=False,
    ),
    "MCG": Case(
        MCG(20, 0.6, reference=20),
        partial(guided.dps, steps=20, zeta=0.3, project=True),
        affine=False,
    ),
    "PiGDM": Case(PiGDM(20), partial(guided.pigdm, steps=20)),
    "PiGDM, exact, DDIM": Case(
        PiGDM(20, exact=True, eta=0.0),
        partial(guided.guided, estimate=guided.isotropic, steps=20, eta=0.0),
    ),
    "MMPS": Case(
        MMPS(20, iterations=6),
        partial(guided.guided, estimate=lambda *a: guided.matched(*a)[1], steps=20, eta=1.0),
    ),
    "exact guidance": Case(
        ExactGuidance(20), partial(guided.guided, estimate=guided.exact, steps=20, eta=1.0)
    ),
    "DiffPIR": Case(
        DiffPIR(20, 1.75, 0.4, spacing="even"),
        partial(guided.diffpir, steps=20, weight=1.75, zeta=0.4),
    ),
    "DAPS, exact": Case(
        DAPS(10, inner="exact", low=1.0), partial(guided.daps, steps=10, ode_steps=5, low=1.0)
    ),
    "DAPS": Case(
        DAPS(6, 3, langevin_steps=5, lr=0.01, tau=0.3),
        partial(guided.daps, steps=6, ode_steps=3, langevin=(5, 0.01, 0.3)),
    ),
    "TDS, drawn anew at each step": Case(
        TDS(10, 4, iterations=6, threshold=1.0, spacing="even"),
        partial(guided.tds, steps=10, particles=4, threshold=1.0),
        affine=False,
    ),
    "TDS": Case(
        TDS(20, 3, iterations=6, spacing="even"),
        partial(guided.tds, steps=20, particles=3, threshold=0.5),
        affine=False,
    ),
    "DDRM for JPEG": Case(
        DDRMJPEG(20, 0.7, 0.4), partial(oracles.ddrm_jpeg, steps=20, first=300, eta=0.7, eta_b=0.4)
    ),
}


class Projection(LinearOperator, Coding):
    """A coding that is linear: what is lost is the part of x outside the rows."""

    def __init__(self) -> None:
        super().__init__()
        Q = torch.linalg.qr(ROWS.mT)[0]
        self.register_buffer("P", Q @ Q.mT)

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self.P).view_as(x)

    adjoint = forward


def prior_of(kind: str) -> GaussianDenoiser | MixtureDenoiser:
    means = torch.randn(3, *SHAPE, generator=generator("means"))
    parts = [GaussianDenoiser(mean, random_covariance(N, k)) for k, mean in enumerate(means)]
    return MixtureDenoiser(torch.tensor([0.5, 0.3, 0.2]), parts) if kind == "mixture" else parts[0]


def world_of(prior: GaussianDenoiser | MixtureDenoiser, A: Array, y: Array, sigma_y: float) -> World:
    parts = list(prior.components) if isinstance(prior, MixtureDenoiser) else [prior]
    weights = prior.weights if isinstance(prior, MixtureDenoiser) else torch.ones(1)
    means = np.stack([part.mean.double().flatten().numpy() for part in parts])
    covariances = np.stack([((p.basis * p.variances) @ p.basis.mT).numpy() for p in parts])
    return World(weights.numpy(), means, covariances, A, y, sigma_y)


def setting(solver: Solver, kind: str, sigma_y: float, count: int) -> tuple[Problem, World]:
    """The same problem for the solver and for its oracle."""
    prior, rng = prior_of(kind), NoiseStream.of(0, range(count), "solver")
    coding = isinstance(solver, DDRMJPEG)
    operator = Projection() if coding else DenseMatrix(ROWS.tolist())
    operator = operator.prepare(Images(SHAPE, [str(i) for i in range(count)], rng))
    A = (operator.P if coding else ROWS).double().numpy()
    y = (A @ np.linspace(-1, 1, N)) if coding else np.linspace(-0.5, 0.7, MEASURED)
    seen = torch.from_numpy(y).float().view(1, *(SHAPE if coding else (MEASURED,)))
    seen = seen.expand(count, *seen.shape[1:])
    return Problem(seen, Measurement(operator, sigma_y), prior, rng), world_of(prior, A, y, sigma_y)


def moments(oracle: Callable[..., Array], world: World) -> tuple[Array, Array]:
    """The mean and the covariance of an affine map of white noise, by its value at 0 and its slopes."""
    draws = 0

    def nothing() -> Array:
        nonlocal draws
        draws += 1
        return np.zeros((1, N))

    mean = oracle(world, nothing)[0]
    units, block = np.eye(draws * N).reshape(draws * N, draws, N), iter(range(draws))
    slopes = oracle(world, lambda: units[:, next(block)].copy()) - mean
    return mean, slopes.T @ slopes


def assert_agree(found: Array, mean: Array, covariance: Array, rows: float) -> None:
    """Sample moments are within five standard errors; ``rows`` is how many draws the others come from."""
    share = 1 / len(found) + 1 / rows
    apart = found - mean
    error = np.sqrt(share * apart.var(0)) + 1e-4
    assert (np.abs(apart.mean(0)) < 5 * error).all()
    products = apart[:, :, None] * apart[:, None, :]
    error = np.sqrt(share * products.var(0)) + 2e-4 * max(1.0, np.abs(covariance).max())
    assert (np.abs(products.mean(0) - covariance) < 5 * error).all()


@pytest.mark.parametrize("sigma_y", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("kind", ["gaussian", "mixture"])
@pytest.mark.parametrize("name", CASES)
def test_solver_is_its_oracle(name: str, kind: str, sigma_y: float) -> None:
    solver, oracle, affine = CASES[name]
    problem, world = setting(solver, kind, sigma_y, 700 if isinstance(solver, Descent) else 2000)
    found = solver(problem).flatten(1).double().numpy()
    if affine and kind == "gaussian":
        assert_agree(found, *moments(oracle, world), rows=np.inf)
    else:
        rng, rows = np.random.default_rng(0), 4000
        theirs = oracle(world, lambda: rng.standard_normal((rows, N)))
        assert_agree(found, theirs.mean(0), np.cov(theirs.T), rows)


def test_no_solver_is_left_out() -> None:
    members = [getattr(lightning_inv.solvers, name) for name in lightning_inv.solvers.__all__]
    kinds = {
        m for m in members if isinstance(m, type) and issubclass(m, Solver) and not inspect.isabstract(m)
    }
    assert {type(case.solver) for case in CASES.values()} == kinds
