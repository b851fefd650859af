"""Solvers of inverse problems."""

from lightning_inv.solvers.base import Problem, Solver
from lightning_inv.solvers.daps import DAPS
from lightning_inv.solvers.ddnm import DDNM, DDNMPlus
from lightning_inv.solvers.ddrm import DDRM
from lightning_inv.solvers.ddrm_jpeg import DDRMJPEG
from lightning_inv.solvers.descent import Descent
from lightning_inv.solvers.diffpir import DiffPIR
from lightning_inv.solvers.dps import DPS
from lightning_inv.solvers.exact_guidance import ExactGuidance
from lightning_inv.solvers.guided import Guided
from lightning_inv.solvers.latent import Latent
from lightning_inv.solvers.mcg import MCG
from lightning_inv.solvers.moment_matching import MMPS
from lightning_inv.solvers.pigdm import PiGDM
from lightning_inv.solvers.plans import Grid, Oscillating, Reversed, Shuffled, TimePlan
from lightning_inv.solvers.plug_and_play import PlugAndPlay
from lightning_inv.solvers.pseudo_inverse import PseudoInverse
from lightning_inv.solvers.reddiff import REDDiff
from lightning_inv.solvers.repaint import RePaint
from lightning_inv.solvers.sampler import Sampler, TimeTravel, ddim_step
from lightning_inv.solvers.sds import SDS
from lightning_inv.solvers.tds import TDS
from lightning_inv.solvers.terms import Term
from lightning_inv.solvers.turns import Turns
from lightning_inv.solvers.unconditional import Unconditional

__all__ = [
    "DAPS",
    "DDNM",
    "DDRM",
    "DDRMJPEG",
    "DPS",
    "MCG",
    "MMPS",
    "SDS",
    "TDS",
    "DDNMPlus",
    "Descent",
    "DiffPIR",
    "ExactGuidance",
    "Grid",
    "Guided",
    "Latent",
    "Oscillating",
    "PiGDM",
    "PlugAndPlay",
    "Problem",
    "PseudoInverse",
    "REDDiff",
    "RePaint",
    "Reversed",
    "Sampler",
    "Shuffled",
    "Solver",
    "Term",
    "TimePlan",
    "TimeTravel",
    "Turns",
    "Unconditional",
    "ddim_step",
]
