"""What a solver cannot do is said before any work."""

import pytest
import torch
from families import OPERATORS
from helpers import tiny_prior
from small_solvers import MEASURED

from lightning_inv.constraints import Classifier, Measurement, Symmetry
from lightning_inv.noise import NoiseStream
from lightning_inv.noise_models import Noise, PoissonGaussianNoise, PoissonNoise, SaltAndPepper
from lightning_inv.operators import Composition, HighDynamicRange, Identity, Operator, Stack
from lightning_inv.solvers import (
    DDRM,
    Latent,
    PlugAndPlay,
    Problem,
    PseudoInverse,
    REDDiff,
    Solver,
    Term,
    Unconditional,
)


def test_any_kind_of_operator_may_be_required() -> None:
    class Picky(DDRM):  # defined here, since messages of other tests name all solvers that there are
        """Needs an operator of a kind that nobody has words for."""

        requires = HighDynamicRange

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
        (REDDiff(lr=-1.0), r"REDDiff\.lr must be at least 0 and finite, got -1\.0"),
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


CHOOSY = ("exact guidance", "DAPS, exact")  # their settings refuse what their class serves
OTHERS = [name for name in MEASURED if name not in CHOOSY]


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("kind", OTHERS)
def test_a_solver_serves_an_operator_or_says_which_solvers_do(kind: str, name: str) -> None:
    solver, measurement = MEASURED[kind], Measurement(OPERATORS[name].operator)
    if solver.serves(measurement):
        solver.check(tiny_prior(), measurement)
        return
    mine, theirs = type(solver).__name__, type(measurement.operator).__name__
    with pytest.raises(TypeError, match=rf"{mine} needs .*, got {theirs}; .* can do without") as refused:
        solver.check(tiny_prior(), measurement)
    able = [type(MEASURED[one]).__name__ for one in OTHERS if MEASURED[one].serves(measurement)]
    assert len(able) >= 2
    assert all(kind in str(refused.value) for kind in able)


def test_a_refusal_names_no_solver_of_another_file() -> None:
    class Mine(REDDiff):
        """A solver that serves everything."""

    with pytest.raises(TypeError, match=r"DAPS or .* can do without") as refused:
        DDRM().check(tiny_prior(), Measurement(HighDynamicRange()))
    assert Mine.serves(Measurement(HighDynamicRange()))
    assert "Mine" not in str(refused.value)


@pytest.mark.parametrize("noise", [PoissonNoise(), PoissonGaussianNoise(), SaltAndPepper()], ids=repr)
def test_a_noise_is_served_or_refused_by_name(noise: Noise) -> None:
    kind = type(noise).__name__
    with pytest.raises(TypeError, match=rf"DDRM needs GaussianNoise or .*, got {kind}; .*REDDiff .*can do"):
        DDRM().check(tiny_prior(), Measurement(Identity(), noise=noise))
    REDDiff().check(tiny_prior(), Measurement(Identity(), noise=noise))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Term(Symmetry(), -1.0),
            ValueError,
            r"Term\.weight must be a number of at least 0, got -1\.0",
        ),
        (lambda: Term(Symmetry(), float("nan")), ValueError, r"Term\.weight .*, got nan"),
        (lambda: Term("abc"), TypeError, r"Term\.constraint must be a Constraint, got 'abc'"),
        (lambda: Term(Symmetry(), view=3), TypeError, r"Term\.view must be a View, got 3"),
        (lambda: Term(Symmetry(), anneal=0.5), TypeError, r"Term\.anneal must be true, false or a function"),
        (lambda: Term(Measurement(Identity())), TypeError, r"a Measurement is no term: .* Stack"),
        (lambda: Classifier(torch.nn.Identity(), 1.5), ValueError, r"label must be an integer .*, got 1\.5"),
        (lambda: Classifier(torch.nn.Identity(), True), ValueError, r"label must be an integer .*, got True"),
    ],
)
def test_a_term_that_is_none_is_refused(make: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("terms", [{"m": Symmetry()}, {"m": None}, [Term(Symmetry())]], ids=repr)
def test_terms_have_names(terms: object) -> None:
    with pytest.raises(TypeError, match=r"PlugAndPlay\.terms must be Terms by their names"):
        PlugAndPlay(terms=terms).check(tiny_prior(), Measurement(Identity()))


@pytest.mark.parametrize(
    ("latent", "start", "message"),
    [
        (Latent(torch.nn.Linear(5, 5), (1, 8, 8)), "noise", r"does not take z of shape \(1, 8, 8\)"),
        (Latent(torch.nn.Tanh(), (1, 8, 8)), "pinv", r"start_from must be noise .*, got 'pinv'"),
    ],
)
def test_a_latent_that_does_not_fit_is_refused(latent: Latent, start: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PlugAndPlay(latent=latent, start_from=start).check(tiny_prior(), Measurement(Identity()))


class Square(Operator):
    """Has no pseudo-inverse."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.square()


@pytest.mark.parametrize(
    "operator",
    [Square(), Composition(Identity(), Square()), Stack([Identity(), Square()])],
    ids=lambda A: type(A).__name__,
)
def test_what_cannot_be_inverted_needs_another_start(operator: Operator) -> None:
    kind, measurement = type(operator).__name__, Measurement(operator, 0.1)
    message = rf"needs an operator with a pseudo-inverse, got {kind}; .*'noise' can do without"
    for solver in (PseudoInverse(), REDDiff(), PlugAndPlay(start_from="wiener")):
        with pytest.raises(TypeError, match=f"{type(solver).__name__}.*{message}"):
            solver.check(tiny_prior(), measurement)
    REDDiff(start_from="noise").check(tiny_prior(), measurement)


@pytest.mark.parametrize("name", MEASURED)
def test_restoration_needs_a_measurement(name: str) -> None:
    with pytest.raises(TypeError, match="got none"):
        MEASURED[name](Problem(None, None, tiny_prior(), NoiseStream.of(0, [0], "solver")))
