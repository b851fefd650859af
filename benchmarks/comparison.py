"""Compares solvers on eight problems of Fashion-MNIST and writes its part of docs/results.md.

    python benchmarks/comparison.py --root FOLDER_OF_IDX_FILES

For 20 and for 100 steps, a job of infer.py on validation images chooses the settings of each solver for each
problem, another compares them on test images; a last one has settings of papers. What was computed stays in
``--folder``, the same command goes on where it was interrupted, larger limits add test images, and
``--page_only`` writes the page again with the same options. Options not listed here, such as
--trainer.precision, are handed to infer.py.
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


def introduction(options: argparse.Namespace) -> str:
    """What the part is about."""
    note = f"\n- {options.note}" if options.note else ""
    facts = read_provenance("fashion_mnist").items()
    prior = ", ".join(f"{key} {x:.4g}" if type(x) is float else f"{key} {x}" for key, x in facts)
    return f"""\
# Solvers on eight problems

Made by `benchmarks/comparison.py`, not by hand.

- Data: Fashion-MNIST, split test, the first images, as many as each heading says
- Prior: fashion_mnist, {prior}
- Settings: where a solver has several candidates, the best by PSNR on {options.val_limit} validation images,
  for each problem and number of steps. For RED-diff and plug-and-play these are the presets of
  configs/problems with one, two and four times their learning rate; DDRM has its preset. Presets had been
  chosen on validation images before, as the heads of configs/solvers say, and plug-and-play's start "wiener"
  after "pinv" had failed on test images of deblurring. TDS and RePaint have one candidate; others:
  `benchmarks/candidates.py`
- Steps are not calls of the network: a column of each first table says how many a sample takes, forward and
  backward. DDNM is for measurements without noise; with it, it is the pseudo-inverse where nothing is hidden
- Published settings: one of each method for all problems, though `configs/solvers/paper` has others for some,
  such as `diffpir_inpainting.yaml` and `reddiff_nonlinear.yaml`{note}

{LEGEND}""".replace("|", "\\|")


def settings(options: argparse.Namespace, limits: dict[int, int]) -> str:
    """The settings that were compared, for each solver with several candidates."""
    sections = ["## Settings chosen on validation images", "At an end of what was tried: *."]
    for steps in limits:
        tree = yaml.safe_load((options.folder / f"steps_{steps}" / "compare.yaml").read_text())
        used = {problem: task["solvers"] for problem, task in tree["model"]["problems"].items()}
        left_out = {
            problem: told.get("refused", {}) for problem, told in summaries(options, f"steps_{steps}").items()
        }
        rows = [["solver", *(problem.replace("_", " ") for problem in used)]]
        tried = {name: dict(candidates(presets, steps)) for name, _, presets in measurements(list(used))}
        for solver in dict.fromkeys(solver for known in tried.values() for solver in known):
            entries = {problem: tried[problem].get(solver, []) for problem in used}
            if max(map(len, entries.values())) > 1:
                cells = [
                    "-"
                    if solver in left_out[problem] or solver not in used[problem]
                    else told(entries[problem], used[problem][solver])
                    for problem in used
                ]
                rows.append([solver, *cells])
        sections += [f"### {steps} steps", markdown(rows)]
    return "\n\n".join(sections)


def told(entries: Sequence[Entry], used: Entry) -> str:
    """What sets one of several entries apart from the others."""
    apart = []
    for key, value in used["init_args"].items():
        values = [entry["init_args"].get(key) for entry in entries]
        if any(other != value for other in values):
            ends = isinstance(value, float) and value in (min(values), max(values))
            apart.append(f"{key} {value}{'*' if ends else ''}")
    return ", ".join(apart) or "preset"


def summaries(options: argparse.Namespace, name: str) -> dict[str, dict[str, Any]]:
    """The summary of each problem of a job."""
    return json.loads((options.folder / name / "summary.json").read_text())["problems"]


def curves(options: argparse.Namespace, limits: dict[int, int]) -> str:
    """Plots of PSNR against effort that join the numbers of steps, of the images that all of them have."""
    images = range(min(limits.values()))
    joined: dict[str, dict[str, Any]] = {problem: {"solvers": {}} for problem in options.problems}
    for steps, problem in itertools.product(limits, options.problems):
        folder = options.folder / f"steps_{steps}" / problem
        if len(records := Manifest(folder).read(images)) < len(images):
            raise ValueError(
                f"{folder} holds {len(records)} of {len(images)} images: give the limits it was made with."
            )
        for solver in records[0]["solvers"]:
            label = solver if solver == "pseudo_inverse" else f"{solver}_{steps}"
            joined[problem]["solvers"][label] = {
                measure: statistics(values_of(records, solver, measure))
                for measure in ("psnr_of_mean", "evaluations", "seconds")
            }
    for measure, plot in PLOTS.items():
        write_picture(options.page.with_name(f"comparison_{plot}.png"), against(measure, joined))
    both = " and ".join(map(str, limits))
    return "\n".join(
        [
            f"{both} steps, on the first {len(images)} images:\n",
            *(f"![PSNR against {plot}](comparison_{plot}.png)" for plot in PLOTS.values()),
        ]
    )


def part(options: argparse.Namespace, name: str, title: str, limit: int) -> str:
    """A job as tables: first PSNR of all problems in one, then each problem."""
    folder, found = options.folder / name, summaries(options, name)
    if any(one["images"] != limit for one in found.values()):
        held = sorted({one["images"] for one in found.values()})
        raise ValueError(f"{folder} is about {held} images, not {limit}: give the limits it was made with.")
    sections = [
        "\n\n".join([f"### {headline(problem, one)}", markdown(rows_of(one, COSTS)), *notes(one)])
        for problem, one in found.items()
    ]
    precision = json.loads((folder / next(iter(found)) / "manifest.json").read_text())["precision"]
    head = f"## {title}, {limit} images\n\n"
    head += f"Code: {noted_environments(folder)}. Precision of the network: {precision}."
    return "\n\n".join([head, markdown(overview(found)), *sections])


def overview(problems: dict[str, dict[str, Any]]) -> list[list[str]]:
    """PSNR of each solver on each problem; the best of a problem in bold."""
    solvers = dict.fromkeys(solver for one in problems.values() for solver in one["solvers"])
    highest = {
        problem: max(found["psnr"]["mean"] for found in one["solvers"].values() if found["psnr"])
        for problem, one in problems.items()
    }
    rows = [["PSNR [dB]", "calls", *(problem.replace("_", " ") for problem in problems)]]
    for solver in solvers:
        cells = [calls([one["solvers"][solver] for one in problems.values() if solver in one["solvers"]])]
        for problem, one in problems.items():
            value = one["solvers"].get(solver, {}).get("psnr")
            text = cell("psnr", value)
            cells.append(f"**{text}**" if value and value["mean"] == highest[problem] else text)
        rows.append([solver, *cells])
    return rows


def calls(measured: Sequence[dict[str, Any]]) -> str:
    """Calls of the network for a sample, forward and backward, at least and at most over problems."""
    totals = [one["evaluations"]["mean"] for one in measured]
    return " to ".join(f"{count:g}" for count in dict.fromkeys((min(totals), max(totals))))


if __name__ == "__main__":
    main()
