"""The problems of photographs, the settings to choose from for each solver, and runs of infer.py."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from candidates import SPACINGS, Entry, grid, with_settings
from pages import note_environment

from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.cli import CONFIGS, infer
from lightning_inv.configuration import read_config

FOLDER = CONFIGS / "problems" / "photographs"
MEASUREMENTS: dict[str, dict[str, Any]] = {
    name: read_config(FOLDER / f"{name}.yaml")["model"]["measurement"]
    for name in ("inpainting", "super_resolution", "deblurring")
}
"""How each problem measures, as configurations have it."""

PLANS = grid("Grid", spacing=["quadratic"], high=[0.5, 0.7], low=[0.02])
SAMPLERS: dict[str, list[Entry]] = {
    "ddrm": grid("DDRM", spacing=SPACINGS),
    "ddnm_plus": grid("DDNMPlus", spacing=SPACINGS, eta=[0.85, 1.0]),
    "diffpir": grid("DiffPIR", spacing=SPACINGS, zeta=[0.3, 1.0], weight=[1.0, 0.3, 3.0, 10.0]),
    "pigdm": grid("PiGDM", spacing=SPACINGS, eta=[0.0, 1.0]),
    "dps": grid("DPS", spacing=SPACINGS, zeta=[3.0, 10.0, 30.0]),
}
DESCENTS: dict[str, list[Entry]] = {
    "reddiff": grid(
        "REDDiff", lr=[0.05], weight=[0.3, 0.1, 1.0, 3.0, 10.0], start_from=["wiener"], plan=PLANS
    ),
    "plug_and_play": grid(
        "PlugAndPlay",
        lr=[0.02, 0.05],
        weight=[10.0, 50.0, 200.0, 800.0],
        anneal=[False],
        start_from=["wiener"],
        plan=PLANS,
    ),
}
SOLVERS = (*SAMPLERS, *DESCENTS)
"""The solvers that are compared, by name."""
STEPS = (20, 50)
"""The steps of samplers and of descents."""
OWN = ("classical_solvers", "held_out", "middle_crops")
"""What stands beside this file and is named in configurations."""


def candidates(steps: Iterable[int] = STEPS) -> dict[str, list[Entry]]:
    """The settings to choose from, for each solver; alike for all problems.

    Args:
        steps: The steps of samplers and of descents.
    """
    pairs = zip((SAMPLERS, DESCENTS), steps, strict=True)
    return {
        name: [with_settings(entry, steps=count) for entry in entries]
        for kind, count in pairs
        for name, entries in kind.items()
    }


def numbered(solvers: Mapping[str, list[Entry]]) -> dict[str, Entry]:
    """All candidates as solvers of one run, the k-th by the name ``solver_k``; ``best`` of them chooses."""
    return {f"{name}_{k}": entry for name, found in solvers.items() for k, entry in enumerate(found)}


def run(
    folder: Path,
    solvers: Mapping[str, dict[str, Entry]],
    data: Entry,
    images: int,
    options: argparse.Namespace,
    more: list[str],
) -> None:
    """Lets infer.py do one job, from where it was interrupted.

    Args:
        folder: Where results go.
        solvers: The solvers of each problem.
        data: The data.
        images: How many images they are.
        options: The ``prior`` and the ``accelerator`` of the command line.
        more: More words for infer.py.
    """
    tasks = {name: {"measurement": MEASUREMENTS[name], "solvers": solvers[name]} for name in solvers}
    model = {"prior": options.prior, "measurement": None, "solvers": {}, "problems": tasks}
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "begun.yaml"
    config.write_text(yaml.safe_dump({"model": model, "data": data}, sort_keys=False))
    if any(len(Manifest(folder / name).read(range(images))) < images for name in solvers):
        note_environment(folder, options.accelerator)
    words = ["--config", str(config), "--folder", str(folder), "--trainer.accelerator", options.accelerator]
    infer([*words, f"--packages=[{','.join(OWN)}]", *more])
    config.replace(folder / "compare.yaml")
