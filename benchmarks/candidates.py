"""The settings among which the comparison chooses those of each solver, on validation images."""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lightning_inv.cli import CONFIGS
from lightning_inv.configuration import read_config

Entry = dict[str, Any]
"""A solver as configurations have it: ``class_path`` and ``init_args``."""


def grid(kind: str, **values: list[Any]) -> list[Entry]:
    """Every combination of these values."""
    combinations = itertools.product(*values.values())
    return [
        {"class_path": kind, "init_args": dict(zip(values, combination, strict=True))}
        for combination in combinations
    ]


SPACINGS = ["even", "quadratic"]
CANDIDATES: dict[str, list[Entry]] = {
    "ddnm": grid("DDNM", spacing=SPACINGS),
    "ddnm_plus": grid("DDNMPlus", spacing=SPACINGS),
    "diffpir": grid("DiffPIR", zeta=[0.3, 1.0], weight=[0.3, 1.0]),
    "pigdm": grid("PiGDM", spacing=SPACINGS, eta=[0.0, 1.0]),
    "mmps": grid("MMPS", spacing=SPACINGS),
    "tds": grid("TDS", iterations=[1], particles=[3]),
    "dps": grid("DPS", zeta=[1.0, 3.0, 10.0], reference=[None]),
    "mcg": grid("MCG", zeta=[1.0, 3.0, 10.0], reference=[None]),
    "daps": grid("DAPS", ode_steps=[2], low=[0.02], lr=[1e-3, 3e-3], high=[10.0, 100.0]),
    "repaint": grid("RePaint", travel=[{"length": 5, "repeats": 5}]),
}
"""Those of solvers without a preset for a problem."""


def candidates(presets: dict[str, Entry], steps: int) -> Iterator[tuple[str, list[Entry]]]:
    """Each solver of a problem with its candidates: variants of presets, and ``CANDIDATES``.

    Args:
        presets: The solvers that configs/problems has for it.
        steps: The number of steps.
    """
    known = {name: list(variants(preset)) for name, preset in presets.items()}
    for name, entries in {**known, **CANDIDATES}.items():
        yield name, [with_settings(entry, steps=steps) for entry in entries]


def variants(preset: Entry) -> Iterator[Entry]:
    """A preset, and the same with two and four times the learning rate if it has one."""
    yield preset
    if "lr" in preset.get("init_args", {}):
        for factor in (2, 4):
            yield with_settings(preset, lr=factor * preset["init_args"]["lr"])


def with_settings(entry: Entry, **settings: Any) -> Entry:
    """The same solver with other settings."""
    return {**entry, "init_args": {**entry.get("init_args", {}), **settings}}


def measurements(problems: Sequence[str]) -> Iterator[tuple[str, dict[str, Any], dict[str, Entry]]]:
    """Name, measurement and presets of problems."""
    for name in problems:
        model = read_config(CONFIGS / "problems" / f"{name}.yaml")["model"]
        yield name, model["measurement"], model["solvers"]


def best(folder: Path) -> dict[str, dict[str, int]]:
    """For each problem and solver the number of the candidate of the highest PSNR in a finished job."""
    chosen: dict[str, dict[str, int]] = {}
    for problem, told in json.loads((folder / "summary.json").read_text())["problems"].items():
        highest: dict[str, float] = {}
        for label, measured in told["solvers"].items():
            name, _, k = label.rpartition("_")
            psnr = measured["psnr"]["mean"] if measured["psnr"] else float("-inf")
            if psnr > highest.get(name, float("-inf")):
                highest[name] = psnr
                chosen.setdefault(problem, {})[name] = int(k)
    return chosen
