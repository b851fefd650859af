"""Solvers of inverse problems."""

from lightning_inv.solvers.base import Problem, Solver
from lightning_inv.solvers.ddrm import DDRM
from lightning_inv.solvers.ddrm_jpeg import DDRMJPEG
from lightning_inv.solvers.descent import Descent
from lightning_inv.solvers.latent import Latent
from lightning_inv.solvers.plans import Grid, Oscillating, Reversed, Shuffled, TimePlan
from lightning_inv.solvers.plug_and_play import PlugAndPlay
from lightning_inv.solvers.pseudo_inverse import PseudoInverse
from lightning_inv.solvers.reddiff import REDDiff
from lightning_inv.solvers.sampler import Sampler, ddim_step
from lightning_inv.solvers.terms import Term
from lightning_inv.solvers.turns import Turns
from lightning_inv.solvers.unconditional import Unconditional

__all__ = [
    "DDRM",
    "DDRMJPEG",
    "Descent",
    "Grid",
    "Latent",
    "Oscillating",
    "PlugAndPlay",
    "Problem",
    "PseudoInverse",
    "REDDiff",
    "Reversed",
    "Sampler",
    "Shuffled",
    "Solver",
    "Term",
    "TimePlan",
    "Turns",
    "Unconditional",
    "ddim_step",
]
