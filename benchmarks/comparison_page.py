"""The page of ``comparison.py``: what was compared, how settings were chosen, tables and plots."""

import argparse
import itertools
import json
from collections.abc import Sequence
from typing import Any

import yaml
from candidates import Entry, candidates, measurements
from pages import noted_environments

from lightning_inv.callbacks.comparison import PLOTS
from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.pages import COSTS, LEGEND, headline, notes
from lightning_inv.callbacks.pictures import write_picture
from lightning_inv.callbacks.plots import against
from lightning_inv.callbacks.report import statistics, values_of
from lightning_inv.callbacks.tables import cell, markdown, rows_of
from lightning_inv.priors import read_provenance


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
        refused = {
            problem: one.get("refused", {}) for problem, one in summaries(options, f"steps_{steps}").items()
        }
        rows = [["solver", *(problem.replace("_", " ") for problem in used)]]
        tried = {name: dict(candidates(presets, steps)) for name, _, presets in measurements(list(used))}
        for solver in dict.fromkeys(solver for known in tried.values() for solver in known):
            entries = {problem: tried[problem].get(solver, []) for problem in used}
            if max(map(len, entries.values())) > 1:
                cells = [
                    "-"
                    if solver in refused[problem] or solver not in used[problem]
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
