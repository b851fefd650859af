"""The baseline without a prior."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from lightning_inv.solvers.base import Problem, Solver


@dataclass(frozen=True)
class PseudoInverse(Solver):
    """A^+ y: what the measurement says by itself, noise and all."""

    steps: int = 1

    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        yield problem.measurement.operator.pinv(problem.y)
