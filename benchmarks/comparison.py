"""Compares all solvers on eight problems of Fashion-MNIST and writes its part of docs/results.md.

    python benchmarks/comparison.py --root FOLDER_OF_IDX_FILES

One job of infer.py: what was computed stays in ``--folder``, the same command goes on where it was
interrupted, a larger --limit adds images, and ``--page_only`` writes the page from what is there. Options not
listed here, such as --trainer.precision, are handed to infer.py.
"""

import argparse
import copy
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pages import note_environment, noted_environments, write_part

from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.pages import COSTS, LEGEND, headline, notes
from lightning_inv.callbacks.tables import cell, markdown, rows_of
from lightning_inv.cli import CONFIGS, infer
from lightning_inv.configuration import read_config
from lightning_inv.priors import read_provenance

PROBLEMS = (
    "inpainting",
    "box_inpainting",
    "super_resolution",
    "deblurring",
    "motion_deblurring",
    "denoising",
    "compressed_sensing",
    "high_dynamic_range",
)
STEPS = (20, 100)
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddnm": ("DDNM", {}),
    "ddnm_plus": ("DDNMPlus", {}),
    "diffpir": ("DiffPIR", {"zeta": 1.0}),
    "pigdm": ("PiGDM", {}),
    "mmps": ("MMPS", {}),
    "tds": ("TDS", {"iterations": 1, "particles": 3}),
    "dps": ("DPS", {"zeta": 1.0, "reference": None}),
    "mcg": ("MCG", {"zeta": 1.0, "reference": None}),
    "daps": ("DAPS", {}),
    "repaint": ("RePaint", {"travel": {"length": 5, "repeats": 5}}),
}
"""Solvers that have no preset for a problem: their class and settings besides the number of steps."""
PAPERS = ("ddrm", "reddiff", "ddnm", "diffpir", "pigdm", "mmps", "dps", "mcg", "daps", "repaint")
"""Published settings, of configs/solvers/paper, that are compared as they are."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs what has not been run yet, then writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--root", help="folder of the Fashion-MNIST idx files")
    parser.add_argument("--limit", type=int, default=256, help="test images")
    parser.add_argument("--paper_limit", type=int, default=32, help="test images for the settings of papers")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=PROBLEMS)
    parser.add_argument("--folder", type=Path, default=Path("results/comparison"), help="where results go")
    parser.add_argument("--accelerator", default="auto", help="what infer.py runs on")
    parser.add_argument("--page", type=Path, default=Path("docs/results.md"), help="the page to write")
    parser.add_argument("--page_only", action="store_true", help="compute nothing")
    options, more = parser.parse_known_args(args)
    if options.root is None and not options.page_only:
        parser.error("--root is needed unless --page_only is given.")
    jobs = {"steps": (same_steps(options.problems), options.limit)}
    if options.paper_limit:
        jobs["papers"] = (as_published(options.problems), options.paper_limit)
    for name, (model, limit) in () if options.page_only else jobs.items():
        run(options.folder / name, model, limit, options, more)
    parts = [part(options, name) for name in jobs]
    write_part(options.page, "comparison", "\n\n".join([introduction(options), *parts]))


def measurements(problems: Sequence[str]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, measurement and presets of problems."""
    for name in problems:
        model = read_config(CONFIGS / "problems" / f"{name}.yaml")["model"]
        yield name, model["measurement"], model["solvers"]


def same_steps(problems: Sequence[str]) -> dict[str, Any]:
    """Every solver with 20 and with 100 steps, with its preset for the problem where it has one."""

    def each(name: str, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
        return {
            f"{name}_{steps}": {"class_path": kind, "init_args": {**copy.deepcopy(settings), "steps": steps}}
            for steps in STEPS
        }

    shared = {"pseudo_inverse": {"class_path": "PseudoInverse"}}
    for name, (kind, settings) in OTHERS.items():
        shared |= each(name, kind, settings)
    tasks = {}
    for name, measurement, presets in measurements(problems):
        own = {}
        for solver, preset in presets.items():
            own |= each(solver, preset["class_path"], preset.get("init_args", {}))
        tasks[name] = {"measurement": measurement, "solvers": own}
    return {"measurement": None, "solvers": shared, "problems": tasks}


def as_published(problems: Sequence[str]) -> dict[str, Any]:
    """Every solver with the settings and steps of its paper, for all problems alike."""
    shared = {}
    for name in PAPERS:
        found = read_config(CONFIGS / "solvers" / "paper" / f"{name}.yaml")["model"]["solvers"]
        shared |= {f"{key}_{entry['init_args']['steps']}": entry for key, entry in found.items()}
    tasks = {name: {"measurement": measurement} for name, measurement, _ in measurements(problems)}
    return {"measurement": None, "solvers": shared, "problems": tasks}


def run(
    folder: Path, model: dict[str, Any], limit: int, options: argparse.Namespace, more: list[str]
) -> None:
    """Lets infer.py do one job."""
    settings = {"root": options.root, "split": "test", "limit": limit}
    tree = {"model": model, "data": {"class_path": "FashionMNIST", "init_args": settings}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    if any(len(Manifest(folder / name).read(range(limit))) < limit for name in model["problems"]):
        note_environment(folder, options.accelerator)
    words = ["--config", str(folder / "compare.yaml"), "--folder", str(folder)]
    infer([*words, "--trainer.accelerator", options.accelerator, *more])


def introduction(options: argparse.Namespace) -> str:
    """What the part is about."""
    return f"""\
# All solvers

Made by `benchmarks/comparison.py`, not by hand.

- Data: Fashion-MNIST, split test, the first images, as many as each table says
- Prior: fashion_mnist, {", ".join(f"{k} {v}" for k, v in read_provenance("fashion_mnist").items())}
- Settings: RED-diff, DDRM and plug-and-play have those of `configs/solvers`, chosen on validation images for
  each task; DPS, MCG and DiffPIR have a zeta of 1, chosen on 8 validation images; others those of their class

{LEGEND}""".replace("|", "\\|")


def part(options: argparse.Namespace, name: str) -> str:
    """A job as tables and plots: first PSNR of all problems in one table, then each problem."""
    folder = options.folder / name
    told = json.loads((folder / "summary.json").read_text())["problems"]
    title = {"steps": "20 and 100 steps", "papers": "Settings and steps of the papers"}[name]
    for plot in ("nfe", "seconds"):
        shutil.copy(folder / f"psnr_{plot}.png", options.page.with_name(f"comparison_{name}_{plot}.png"))
    pictures = "\n".join(
        f"![PSNR against {plot}](comparison_{name}_{plot}.png)" for plot in ("nfe", "seconds")
    )
    sections = [
        "\n\n".join([f"### {headline(problem, one)}", markdown(rows_of(one, COSTS)), *notes(one)])
        for problem, one in told.items()
    ]
    head = f"## {title}\n\nCode: {noted_environments(folder)}."
    return "\n\n".join([head, markdown(overview(told)), pictures, *sections])


def overview(told: dict[str, dict[str, Any]]) -> list[list[str]]:
    """PSNR of each solver on each problem; the best of a problem in bold."""
    solvers = dict.fromkeys(solver for one in told.values() for solver in one["solvers"])
    best = {
        problem: max(found["psnr"]["mean"] for found in one["solvers"].values() if found["psnr"])
        for problem, one in told.items()
    }
    rows = [["PSNR [dB]", *(problem.replace("_", " ") for problem in told)]]
    for solver in solvers:
        cells = []
        for problem, one in told.items():
            value = one["solvers"].get(solver, {}).get("psnr")
            text = cell("psnr", value)
            cells.append(f"**{text}**" if value and value["mean"] == best[problem] else text)
        rows.append([solver, *cells])
    return rows


if __name__ == "__main__":
    main()
