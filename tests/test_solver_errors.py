"""What a solver cannot do is said before any work."""

import pytest
import torch
from helpers import tiny_prior

from lightning_inv.constraints import Measurement
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import HighDynamicRange, Identity
from lightning_inv.solvers import DDRM, PlugAndPlay, Problem, PseudoInverse, REDDiff, Solver, Unconditional


class Picky(DDRM):
    """Needs an operator of a kind that nobody has words for."""

    requires = HighDynamicRange


def test_any_kind_of_operator_may_be_required() -> None:
    with pytest.raises(TypeError, match="Picky needs HighDynamicRange, got Identity"):
        Picky().check(tiny_prior(), Measurement(Identity(), 0.1))


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (DDRM(eta=1.2), r"DDRM\.eta must be in \[0, 1\], got 1\.2"),
        (DDRM(eta_b=-0.1), r"DDRM\.eta_b must be in \[0, 1\], got -0\.1"),
        (DDRM(steps=0), r"DDRM\.steps must be in \[1, 1000\], .* got 0"),
        (REDDiff(steps=1001), r"REDDiff\.steps must be in \[1, 1000\], .* got 1001"),
        (REDDiff(weighting="cubic"), r"REDDiff\.weighting must be one of linear, .*, const, got 'cubic'"),
        (REDDiff(lr=-1.0), r"REDDiff\.lr must be at least 0, got -1\.0"),
        (PlugAndPlay(finish=1001), r"PlugAndPlay\.finish must be in \[0, 1000\], got 1001"),
        (Unconditional(eta=2.0), r"Unconditional\.eta must be in \[0, 1\], got 2\.0"),
    ],
    ids=repr,
)
def test_settings_out_of_range_are_refused(solver: Solver, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        solver.check(tiny_prior(), Measurement(Identity()))


def test_ddrm_refuses_an_operator_without_svd() -> None:
    problem = Problem(
        torch.zeros(1, 1, 8, 8),
        Measurement(HighDynamicRange()),
        tiny_prior(),
        NoiseStream.of(0, [0], "solver"),
    )
    message = "DDRM needs a linear operator with a singular value decomposition, got HighDynamicRange"
    with pytest.raises(TypeError, match=message):
        DDRM()(problem)


@pytest.mark.parametrize(
    "solver", [DDRM(), REDDiff(), PlugAndPlay(), PseudoInverse()], ids=lambda s: type(s).__name__
)
def test_restoration_needs_a_measurement(solver: Solver) -> None:
    with pytest.raises(TypeError, match="got none"):
        solver(Problem(None, None, tiny_prior(), NoiseStream.of(0, [0], "solver")))
