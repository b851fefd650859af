"""Tells which solver serves which operator and noise: ``python -m lightning_inv.capabilities``.

Nothing is known here: every solver is asked, by the check that a run begins with.
"""

import argparse
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from lightning_inv import noise_models, operators, solvers
from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, EpsilonDenoiser
from lightning_inv.networks import TinyNetwork
from lightning_inv.noise_models import GaussianNoise, Noise
from lightning_inv.operators import Operator
from lightning_inv.solvers import Solver


class _Physics(nn.Module):
    """The least that deepinv's operators have."""

    def A(self, x: Tensor) -> Tensor:
        return x

    A_adjoint = A


class _AnyMap(noise_models.NoiseMap):
    """A map that needs no file."""

    def check(self) -> None:
        pass


EXAMPLES: dict[str, Callable[[], Any]] = {
    "Composition": lambda: operators.Composition(operators.Clipping(), operators.BlockAverage()),
    "DeepinvLinear": lambda: operators.DeepinvLinear(_Physics()),
    "DeepinvPhysics": lambda: operators.DeepinvPhysics(_Physics()),
    "DenseMatrix": lambda: operators.DenseMatrix([[1.0, 2.0]]),
    "LinearComposition": lambda: operators.LinearComposition(
        operators.Inpainting(), operators.CircularBlur()
    ),
    "LinearStack": lambda: operators.LinearStack([operators.Inpainting(), operators.BlockAverage()]),
    "NoiseMap": lambda: _AnyMap("any.npy"),
    "Stack": lambda: operators.Stack([operators.Clipping(), operators.BlockAverage()]),
}
"""Examples of classes that need arguments."""


def examples(module: Any, kind: type, names: Sequence[str]) -> dict[str, Any]:
    """One object of each final class of this kind that has a name in the module."""
    found = {name: getattr(module, name) for name in names}
    return {
        name: EXAMPLES.get(name, part)()
        for name, part in found.items()
        if inspect.isclass(part) and issubclass(part, kind) and not inspect.isabstract(part)
    }


def reason_against(solver: Solver, prior: Denoiser, measurement: Measurement) -> str | None:
    """Why a solver, as it is set, does not serve a measurement; None if it does."""
    if solver.requires is None:
        return f"{type(solver).__name__} looks at no measurement."
    try:
        solver.check(prior, measurement)
    except (TypeError, ValueError) as error:
        if solver.serves(measurement):  # a setting is in the way, and the error says which
            return re.sub(r", got [^;.]*", "", str(error))
        return str(error).split(", got")[0] + "."
    return None


class Matrix:
    """Which solver serves what, with the reasons why not, each once.

    Args:
        corner: What the rows are.
        columns: The names of the solvers.
    """

    def __init__(self, corner: str, columns: Sequence[str]) -> None:
        self.head, self.rows, self.reasons = [corner, *columns], [], []

    def add(self, name: str, reasons: Sequence[str | None]) -> None:
        """Adds a row, given for each solver why it does not serve, or None."""
        self.reasons += [reason for reason in dict.fromkeys(reasons) if reason and reason not in self.reasons]
        marks = ["yes" if reason is None else f"({self.reasons.index(reason) + 1})" for reason in reasons]
        self.rows.append([name, *marks])

    def markdown(self) -> str:
        """As a table and a list."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join(filter(None, [table, self._told()]))

    def text(self) -> str:
        """As columns and a list."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (self.head, *self.rows)
        ]
        return "\n\n".join(filter(None, ["\n".join(lines), self._told()]))

    def _told(self) -> str:
        """The reasons with their numbers."""
        return "\n".join(f"{i}. {reason}" for i, reason in enumerate(self.reasons, 1))


def matrices(solver: str | None = None, operator: str | None = None) -> tuple[Matrix, Matrix]:
    """Operators and noises against solvers, all of them or one of each."""
    prior, some_noise = EpsilonDenoiser(TinyNetwork(3), (3, 32, 32)), GaussianNoise(0.1)
    able = examples(solvers, Solver, solvers.__all__)
    kinds = examples(operators, Operator, operators.__all__)
    noises: dict[str, Noise] = {"none": GaussianNoise(0.0)}
    noises |= examples(noise_models, Noise, vars(noise_models)) | {"GaussianNoise": some_noise}
    able = {name: part for name, part in able.items() if solver in (None, name)}
    by_operator, by_noise = Matrix("operator", list(able)), Matrix("noise", list(able))
    measured = {name: Measurement(kind, noise=some_noise) for name, kind in kinds.items()}
    for name, measurement in measured.items():
        if operator in (None, name):
            by_operator.add(name, [reason_against(one, prior, measurement) for one in able.values()])
    usual = {
        name: next((m.operator for m in measured.values() if one.serves(m)), kinds["Identity"])
        for name, one in able.items()
    }
    for name, noise in noises.items():
        asked = [(one, Measurement(usual[key], noise=noise)) for key, one in able.items()]
        by_noise.add(name, [reason_against(one, prior, measurement) for one, measurement in asked])
    return by_operator, by_noise


TITLE = """\
# Which solver serves what

Made by `python -m lightning_inv.capabilities --format markdown`: every solver, with its default settings, was
asked by the check that a run begins with. A number is that of the reason below why it does not serve. About
noise it is asked with an operator that it serves."""


def main(args: Sequence[str] | None = None) -> None:
    """Prints both matrices."""
    parser = argparse.ArgumentParser(prog="python -m lightning_inv.capabilities", description=__doc__)
    parser.add_argument("--format", choices=["text", "markdown"], default="text")
    parser.add_argument("--solver", choices=list(examples(solvers, Solver, solvers.__all__)))
    parser.add_argument("--operator", choices=list(examples(operators, Operator, operators.__all__)))
    options = parser.parse_args(args)
    by_operator, by_noise = matrices(options.solver, options.operator)
    if options.format == "text":
        parts = [by_operator.text(), by_noise.text()]
    else:
        parts = [TITLE, "## Operators", by_operator.markdown(), "## Noise", by_noise.markdown()]
    print("\n\n".join(parts))  # noqa: T201 (a command line speaks to its user)


if __name__ == "__main__":
    main()
