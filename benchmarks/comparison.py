"""Compares solvers on eight problems of Fashion-MNIST and writes its part of docs/results.md.

    python benchmarks/comparison.py --root FOLDER_OF_IDX_FILES

For 20 and for 100 steps, a job of infer.py on validation images chooses the settings of each solver for each
problem, another compares them on test images; a last one has settings of papers. What was computed stays in
``--folder``, the same command goes on where it was interrupted, larger limits add test images, and
``--page_only`` writes the page again with the same options. Options not listed here, such as
--trainer.precision, are handed to infer.py.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from candidates import best, candidates, measurements
from comparison_page import curves, introduction, part, settings
from pages import note_environment, write_part

from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.cli import CONFIGS, infer
from lightning_inv.configuration import read_config

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
PAPERS = ("ddrm", "reddiff", "ddnm", "diffpir", "pigdm", "mmps", "dps", "mcg", "daps", "repaint")
"""Published settings, of configs/solvers/paper, that are compared as they are."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs what has not been run yet, then writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--root", help="folder of the Fashion-MNIST idx files")
    parser.add_argument("--limit", type=int, nargs=2, default=[256, 256], help="test images of each of STEPS")
    parser.add_argument("--paper_limit", type=int, default=32, help="test images for the settings of papers")
    parser.add_argument("--val_limit", type=int, default=8, help="validation images that choose settings")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=PROBLEMS)
    parser.add_argument("--folder", type=Path, default=Path("results/comparison"), help="where results go")
    parser.add_argument("--accelerator", default="auto", help="what infer.py runs on")
    parser.add_argument("--page", type=Path, default=Path("docs/results.md"), help="the page to write")
    parser.add_argument("--note", help="what else there is to know of this run, such as a busy machine")
    parser.add_argument("--page_only", action="store_true", help="compute nothing")
    options, more = parser.parse_known_args(args)
    if options.root is None and not options.page_only:
        parser.error("--root is needed unless --page_only is given.")
    if more and options.page_only:
        parser.error(f"--page_only hands nothing to infer.py: {' '.join(more)}")
    limits = {steps: limit for steps, limit in zip(STEPS, options.limit, strict=True) if limit}
    if not options.page_only:
        compute(options, limits, more)
    parts = [introduction(options), curves(options, limits)]
    parts += [part(options, f"steps_{steps}", f"{steps} steps", limit) for steps, limit in limits.items()]
    if options.paper_limit:
        parts.append(part(options, "papers", "One published setting of each method", options.paper_limit))
    write_part(options.page, "comparison", "\n\n".join([*parts, settings(options, limits)]))


def compute(options: argparse.Namespace, limits: dict[int, int], more: list[str]) -> None:
    """Runs each job: for each number of steps a choice of settings and a comparison, then the papers."""
    for steps, limit in limits.items():
        chosen = options.folder / f"settings_{steps}"
        run(chosen, to_choose_from(options.problems, steps), "val", options.val_limit, options, more)
        run(options.folder / f"steps_{steps}", as_chosen(chosen, steps), "test", limit, options, more)
    if options.paper_limit:
        folder, model = options.folder / "papers", as_published(options.problems)
        run(folder, model, "test", options.paper_limit, options, more)


def to_choose_from(problems: Sequence[str], steps: int) -> dict[str, Any]:
    """Every candidate of each solver that has several, the k-th by the name ``solver_k``."""
    tasks = {
        problem: {
            "measurement": measurement,
            "solvers": {
                f"{name}_{k}": entry
                for name, entries in candidates(presets, steps)
                for k, entry in enumerate(entries)
                if len(entries) > 1
            },
        }
        for problem, measurement, presets in measurements(problems)
    }
    return {"measurement": None, "solvers": {}, "problems": tasks}


def as_chosen(folder: Path, steps: int) -> dict[str, Any]:
    """Every solver with its only or its best candidate, and the pseudo-inverse.

    Solvers that cannot deal with a problem are left out by infer.py.

    Raises:
        ValueError: No candidate of a solver has a score.
    """
    tasks, chosen = {}, best(folder)
    summaries = json.loads((folder / "summary.json").read_text())["problems"]
    for problem, measurement, presets in measurements(list(summaries)):
        own, refused = {}, summaries[problem].get("refused", {})
        for name, found in candidates(presets, steps):
            k = chosen.get(problem, {}).get(name)
            if k is None and len(found) > 1 and f"{name}_0" not in refused:
                raise ValueError(f"no candidate of {name} has a PSNR on {problem}: see {folder}.")
            own[name] = found[k or 0]
        tasks[problem] = {"measurement": measurement, "solvers": own}
    pinv = {"pseudo_inverse": {"class_path": "PseudoInverse"}}
    return {"measurement": None, "solvers": pinv, "problems": tasks}


def as_published(problems: Sequence[str]) -> dict[str, Any]:
    """Every solver with the settings and steps of its paper, for all problems alike."""
    shared = {}
    for name in PAPERS:
        found = read_config(CONFIGS / "solvers" / "paper" / f"{name}.yaml")["model"]["solvers"]
        shared |= {f"{key}_{entry['init_args']['steps']}": entry for key, entry in found.items()}
    tasks = {name: {"measurement": measurement} for name, measurement, _ in measurements(problems)}
    return {"measurement": None, "solvers": shared, "problems": tasks}


def run(
    folder: Path,
    model: dict[str, Any],
    split: str,
    limit: int,
    options: argparse.Namespace,
    more: list[str],
) -> None:
    """Lets infer.py do one job."""
    given = {"root": options.root, "split": split, "limit": limit}
    tree = {"model": model, "data": {"class_path": "FashionMNIST", "init_args": given}}
    folder.mkdir(parents=True, exist_ok=True)
    begun = folder / "begun.yaml"
    begun.write_text(yaml.safe_dump(tree, sort_keys=False))
    if any(len(Manifest(folder / name).read(range(limit))) < limit for name in model["problems"]):
        note_environment(folder, options.accelerator)
    infer(
        ["--config", str(begun), "--folder", str(folder), "--trainer.accelerator", options.accelerator, *more]
    )
    begun.replace(folder / "compare.yaml")


if __name__ == "__main__":
    main()
