"""Restores held-out photographs by solvers with a prior and by classical ones, for docs/results.md.

    pip install -e ".[benchmark]"
    python benchmarks/photographs_restored.py --prior photographs --presets results/presets

All meet the same measurements and the same streams of noise. Settings of total variation and BM3D are chosen
on photographs that are not those of the tables; settings of solvers are those of ``--presets``, which
``photograph_presets.py`` writes. What was computed stays in ``--folder``: the same command goes on where it
was interrupted, and ``--page_only`` writes the page from what is there. Options not listed here, such as
--trainer.precision or --compare.perceptual, are handed to infer.py.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from candidates import Entry, best, grid, with_settings
from comparison_page import part
from held_out import FILES
from pages import listed, told_prior, write_part
from photograph_problems import MEASUREMENTS, STEPS, candidates, numbered, run
from PIL import Image

from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.overview import overview
from lightning_inv.callbacks.pages import LEGEND
from lightning_inv.callbacks.pictures import write_picture
from lightning_inv.callbacks.tables import markdown
from lightning_inv.configuration import read_config

CLASSICAL: dict[str, list[Entry]] = {
    "total_variation": grid(
        "classical_solvers.TotalVariation", weight=[0.0015, 0.003, 0.006, 0.012, 0.025, 0.05]
    ),
    "bm3d": grid("classical_solvers.BM3DPlugAndPlay", steps=[12], high=[0.2, 0.4]),
}
"""The settings of classical methods to choose from."""
SHOWN = ("bicubic", "total_variation", "bm3d", "ddrm", "reddiff", "plug_and_play", "diffpir")
"""The methods of the picture, in its order."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs what has not been run yet, then writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--prior", default="photographs", help="a file, or the name of one that ships")
    parser.add_argument("--presets", type=Path, help="folder of chosen settings; else the first candidates")
    parser.add_argument("--limit", type=int, default=len(FILES["test"]), help="how many photographs")
    parser.add_argument("--size", type=int, default=256, help="their height and width in pixels")
    parser.add_argument("--steps", type=int, nargs=2, default=STEPS, help="of samplers and descents")
    parser.add_argument("--problems", nargs="+", choices=list(MEASUREMENTS), default=list(MEASUREMENTS))
    parser.add_argument("--folder", type=Path, default=Path("results/photographs"), help="where results go")
    parser.add_argument("--accelerator", default="auto", help="what infer.py runs on")
    parser.add_argument("--page", type=Path, default=Path("docs/results.md"), help="the page to write")
    parser.add_argument("--page_only", action="store_true", help="compute nothing")
    options, more = parser.parse_known_args(args)
    if more and options.page_only:
        parser.error(f"--page_only hands nothing to infer.py: {' '.join(more)}")
    if not options.page_only:
        compute(options, more)
    tables = part(options, "restored", "Three problems", options.limit)
    write_part(options.page, "photographs", "\n\n".join([introduction(options), tables, settings(options)]))
    write_picture(options.page.with_name("photographs.webp"), picture(options.folder / "restored"))


def compute(options: argparse.Namespace, more: list[str]) -> None:
    """Chooses the settings of classical methods, then restores."""
    tuning = options.folder / "tuning"
    data = {"class_path": "held_out.HeldOut", "init_args": {"size": options.size, "split": "tuning"}}
    several = dict.fromkeys(options.problems, numbered(CLASSICAL))
    run(tuning, several, data, len(FILES["tuning"]), options, more)
    chosen = {
        problem: {name: CLASSICAL[name][k] for name, k in found.items()}
        for problem, found in best(tuning).items()
    }
    solvers = {
        problem: classical(problem, chosen[problem]) | presets(problem, options)
        for problem in options.problems
    }
    given = {"size": options.size, "split": "test", "limit": options.limit}
    test = {"class_path": "held_out.HeldOut", "init_args": given}
    run(options.folder / "restored", solvers, test, options.limit, options, more)


def classical(problem: str, chosen: dict[str, Entry]) -> dict[str, Entry]:
    """The methods without a prior, given those whose settings were chosen."""
    found = {
        "pseudo_inverse": {"class_path": "PseudoInverse"},
        "bicubic": {"class_path": "classical_solvers.Bicubic"},
        "total_variation": chosen["total_variation"],
        "bm3d": with_settings(chosen["bm3d"], start=chosen["total_variation"]),
    }
    if problem != "super_resolution":
        del found["bicubic"]
    return found


def presets(problem: str, options: argparse.Namespace) -> dict[str, Entry]:
    """The chosen settings of each solver, or without a folder of them the first to choose from."""
    if options.presets is not None:
        return read_config(options.presets / f"{problem}.yaml")["model"]["solvers"]
    return {name: found[0] for name, found in candidates(options.steps).items()}


def introduction(options: argparse.Namespace) -> str:
    """What the part is about."""
    names = list(FILES["test"])[: options.limit]
    how = "chosen by `benchmarks/photograph_presets.py` on crops of photographs that the prior was trained on"
    source = how if options.presets else "the first to choose from in `benchmarks/photograph_problems.py`"
    return f"""\
# Photographs restored

Made by `benchmarks/photographs_restored.py`, not by hand.

- Data: {", ".join(names)}, {options.size} x {options.size} pixels in colour, scaled by Lanczos to cover
  that and cut in the middle, out of the wheels of scikit-image and scikit-learn; no prior was trained on them
- Prior: {told_prior(options.prior)}
- Settings of solvers with a prior: {source}
- Total variation: `benchmarks/classical_solvers.py`; its weight is chosen of
  {tried("total_variation", "weight")}. bm3d: half-quadratic splitting with BM3D
  (the package bm3d, https://doi.org/10.1109/TIP.2020.3014721) from that start, in 12 steps, its first sigma
  chosen of {tried("bm3d", "high")}. Both are chosen for each problem on {", ".join(FILES["tuning"])}

{LEGEND}

![truth, measurement and restorations of one photograph](photographs.webp)""".replace("|", "\\|")


def tried(method: str, setting: str) -> str:
    """The values of a setting to choose from."""
    return ", ".join(f"{entry['init_args'][setting]:g}" for entry in CLASSICAL[method])


def settings(options: argparse.Namespace) -> str:
    """The settings of every solver, as they were run."""
    tree = yaml.safe_load((options.folder / "restored" / "compare.yaml").read_text())
    rows = [["problem", "solver", "settings"]]
    for problem, task in tree["model"]["problems"].items():
        for name, entry in task["solvers"].items():
            rows.append([problem, name, listed(plain(entry.get("init_args", {}))) or "-"])
    return "## Settings\n\n" + markdown(rows)


def plain(given: dict[str, Any]) -> dict[str, Any]:
    """Settings with those of their parts among them."""
    found = {}
    for key, value in given.items():
        found |= plain(value.get("init_args", {})) if isinstance(value, dict) else {key: value}
    return found


def picture(folder: Path) -> Image.Image:
    """The first photograph: a row a problem of truth, measurement and what methods made of it."""
    records = {}
    for problem in json.loads((folder / "summary.json").read_text())["problems"]:
        (record,) = Manifest(folder / problem).read(range(1))
        shown = {name: record["solvers"][name] for name in SHOWN if name in record["solvers"]}
        records[problem] = [{**record, "solvers": shown}]
    return overview(folder, records)


if __name__ == "__main__":
    main()
