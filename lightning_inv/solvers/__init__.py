"""Solvers of inverse problems."""

from lightning_inv.solvers.base import Descent, Problem, Sampler, Solver, ddim_step
from lightning_inv.solvers.unconditional import Unconditional

__all__ = ["Descent", "Problem", "Sampler", "Solver", "Unconditional", "ddim_step"]
