"""The baseline without a prior."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.solvers.base import Problem, Solver, need_pinv


@dataclass(frozen=True)
class PseudoInverse(Solver):
    """A^+ y: what the measurement says by itself, noise and all."""

    steps: int = 1

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_pinv("PseudoInverse", measurement, "a descent with start_from 'noise'")

    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        yield problem.measurement.operator.pinv(problem.y)
