"""Every solver, in few steps; a new one joins by one line and all laws run on it."""

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
    DiffPIR,
    ExactGuidance,
    PiGDM,
    PlugAndPlay,
    PseudoInverse,
    REDDiff,
    RePaint,
    Solver,
    TimeTravel,
    Unconditional,
)

SOLVERS: dict[str, Solver] = {
    "DDRM": DDRM(),
    "DDRM for JPEG": DDRMJPEG(),
    "RED-diff": REDDiff(steps=20),
    "plug-and-play": PlugAndPlay(steps=20, finish=3),
    "pseudo-inverse": PseudoInverse(),
    "DDPM": Unconditional(steps=5, eta=1.0),
    "SDS": SDS(steps=20),
    "DDNM": DDNM(10),
    "DDNM, time travel": DDNM(7, travel=TimeTravel(3, 2)),
    "DDNM+": DDNMPlus(10),
    "RePaint": RePaint(6, travel=TimeTravel(2, 2)),
    "DPS": DPS(20),
    "MCG": MCG(20),
    "PiGDM": PiGDM(10),
    "MMPS": MMPS(10, iterations=3),
    "DiffPIR": DiffPIR(10),
    "DAPS": DAPS(5, 3, langevin_steps=3, tau=0.3),
    "DAPS, exact": DAPS(5, 3, inner="exact"),
    "TDS": TDS(10, particles=3),
    "exact guidance": ExactGuidance(10),
}
UNMEASURED = ("DDPM", "SDS")
"""Those that look at no measurement."""
MEASURED = {name: solver for name, solver in SOLVERS.items() if name not in UNMEASURED}
LINEAR = {name: solver for name, solver in MEASURED.items() if name != "DDRM for JPEG"}
