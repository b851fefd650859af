"""Compares all solvers on eight problems of Fashion-MNIST and writes its part of docs/results.md.

    python benchmarks/comparison.py --root FOLDER_OF_IDX_FILES

For 20 and for 100 steps, a job of infer.py on validation images chooses the settings of each solver for each
problem, another compares them on test images; a last one has the settings of papers. What was computed stays
in ``--folder``, the same command goes on where it was interrupted, larger limits add images, and
``--page_only`` writes the page from what is there. Options not listed here, such as --trainer.precision, are
handed to infer.py.
"""

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from candidates import Entry, best, candidates
from pages import note_environment, noted_environments, write_part

from lightning_inv.callbacks.comparison import PLOTS
from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.pages import COSTS, LEGEND, headline, notes
from lightning_inv.callbacks.pictures import write_picture
from lightning_inv.callbacks.plots import against
from lightning_inv.callbacks.report import statistics, values_of
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
    limits = {steps: limit for steps, limit in zip(STEPS, options.limit, strict=True) if limit}
    if not options.page_only:
        compute(options, limits, more)
    parts = [introduction(options), curves(options, limits)]
    parts += [part(options, f"steps_{steps}", f"{steps} steps") for steps in limits]
    if options.paper_limit:
        parts.append(part(options, "papers", "Settings and steps of the papers"))
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


def measurements(problems: Sequence[str]) -> Iterator[tuple[str, dict[str, Any], dict[str, Entry]]]:
    """Name, measurement and presets of problems."""
    for name in problems:
        model = read_config(CONFIGS / "problems" / f"{name}.yaml")["model"]
        yield name, model["measurement"], model["solvers"]


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
    """
    tasks, chosen = {}, best(folder)
    for problem, measurement, presets in measurements(list(chosen)):
        own = {name: found[chosen[problem].get(name, 0)] for name, found in candidates(presets, steps)}
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
    (folder / "compare.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    if any(len(Manifest(folder / name).read(range(limit))) < limit for name in model["problems"]):
        note_environment(folder, options.accelerator)
    words = ["--config", str(folder / "compare.yaml"), "--folder", str(folder)]
    infer([*words, "--trainer.accelerator", options.accelerator, *more])


def introduction(options: argparse.Namespace) -> str:
    """What the part is about."""
    note = f"\n- {options.note}" if options.note else ""
    return f"""\
# All solvers

Made by `benchmarks/comparison.py`, not by hand.

- Data: Fashion-MNIST, split test, the first images, as many as each table says
- Prior: fashion_mnist, {", ".join(f"{k} {v}" for k, v in read_provenance("fashion_mnist").items())}
- Settings: for each problem and number of steps the best, by PSNR, of a few candidates on
  {options.val_limit} validation images. For RED-diff, DDRM and plug-and-play these are the presets of
  configs/problems, with one, two and four times their learning rate; for the others see
  `benchmarks/candidates.py`{note}

{LEGEND}""".replace("|", "\\|")


def settings(options: argparse.Namespace, limits: dict[int, int]) -> str:
    """The settings chosen, for each solver with several candidates."""
    sections = ["## Settings chosen on validation images"]
    for steps in limits:
        chosen = best(options.folder / f"settings_{steps}")
        rows = [["solver", *(problem.replace("_", " ") for problem in chosen)]]
        problems = {name: dict(candidates(presets, steps)) for name, _, presets in measurements(list(chosen))}
        for solver in dict.fromkeys(solver for known in problems.values() for solver in known):
            entries = [problems[problem].get(solver, []) for problem in chosen]
            if max(map(len, entries)) > 1:
                picked = [chosen[problem].get(solver) for problem in chosen]
                rows.append([solver, *map(told, entries, picked)])
        sections += [f"### {steps} steps", markdown(rows)]
    return "\n\n".join(sections)


def told(entries: Sequence[Entry], k: int | None) -> str:
    """What sets the k-th of several entries apart from the others."""
    if k is None:
        return "-"
    mine, others = entries[k]["init_args"], [entry["init_args"] for entry in entries]
    apart = {key: value for key, value in mine.items() if any(o.get(key) != value for o in others)}
    return ", ".join(f"{key} {value}" for key, value in apart.items()) or "preset"


def curves(options: argparse.Namespace, limits: dict[int, int]) -> str:
    """Plots of PSNR against effort that join the numbers of steps, of the images that all of them have."""
    images = range(min(limits.values()))
    summaries: dict[str, dict[str, Any]] = {problem: {"solvers": {}} for problem in options.problems}
    for steps, problem in itertools.product(limits, options.problems):
        records = Manifest(options.folder / f"steps_{steps}" / problem).read(images)
        for solver in records[0]["solvers"]:
            label = solver if solver == "pseudo_inverse" else f"{solver}_{steps}"
            summaries[problem]["solvers"][label] = {
                measure: statistics(values_of(records, solver, measure))
                for measure in ("psnr_of_mean", "evaluations", "seconds")
            }
    for measure, plot in PLOTS.items():
        write_picture(options.page.with_name(f"comparison_{plot}.png"), against(measure, summaries))
    both = " and ".join(map(str, limits))
    return "\n".join(
        [
            f"Lines join {both} steps, on {len(images)} images that all tables have:\n",
            *(f"![PSNR against {plot}](comparison_{plot}.png)" for plot in PLOTS.values()),
        ]
    )


def part(options: argparse.Namespace, name: str, title: str) -> str:
    """A job as tables: first PSNR of all problems in one, then each problem."""
    folder = options.folder / name
    found = json.loads((folder / "summary.json").read_text())["problems"]
    sections = [
        "\n\n".join([f"### {headline(problem, one)}", markdown(rows_of(one, COSTS)), *notes(one)])
        for problem, one in found.items()
    ]
    precision = json.loads((folder / next(iter(found)) / "manifest.json").read_text())["precision"]
    head = f"## {title}\n\nCode: {noted_environments(folder)}. Precision of the network: {precision}."
    return "\n\n".join([head, markdown(overview(found)), *sections])


def overview(problems: dict[str, dict[str, Any]]) -> list[list[str]]:
    """PSNR of each solver on each problem; the best of a problem in bold."""
    solvers = dict.fromkeys(solver for one in problems.values() for solver in one["solvers"])
    highest = {
        problem: max(found["psnr"]["mean"] for found in one["solvers"].values() if found["psnr"])
        for problem, one in problems.items()
    }
    rows = [["PSNR [dB]", *(problem.replace("_", " ") for problem in problems)]]
    for solver in solvers:
        cells = []
        for problem, one in problems.items():
            value = one["solvers"].get(solver, {}).get("psnr")
            text = cell("psnr", value)
            cells.append(f"**{text}**" if value and value["mean"] == highest[problem] else text)
        rows.append([solver, *cells])
    return rows


if __name__ == "__main__":
    main()
