"""Solvers of inverse problems."""

from lightning_inv.solvers.base import Descent, Problem, Sampler, Solver, ddim_step
from lightning_inv.solvers.ddrm import DDRM
from lightning_inv.solvers.plans import Grid, Oscillating, TimePlan
from lightning_inv.solvers.plug_and_play import PlugAndPlay
from lightning_inv.solvers.pseudo_inverse import PseudoInverse
from lightning_inv.solvers.reddiff import REDDiff
from lightning_inv.solvers.unconditional import Unconditional

__all__ = [
    "DDRM",
    "Descent",
    "Grid",
    "Oscillating",
    "PlugAndPlay",
    "Problem",
    "PseudoInverse",
    "REDDiff",
    "Sampler",
    "Solver",
    "TimePlan",
    "Unconditional",
    "ddim_step",
]
