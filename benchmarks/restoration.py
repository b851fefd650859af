"""Compares the solvers with the best of scikit-image on five tasks and writes docs/results.md.

    pip install -e ".[benchmark]"
    python benchmarks/restoration.py --root FOLDER_OF_IDX_FILES

Classical methods meet the measurements of infer.py; their settings are chosen on the split "val". What was
computed stays in ``--folder``: the same command goes on where it was interrupted, and ``--page_only`` writes
the page from what is there. Options not listed here, such as --model.prior, are handed to infer.py.
"""

import argparse
import json
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from classical import METHODS, measure, name_of, restore, score, tune
from jsonargparse import ArgumentParser
from pages import cell, listed, note_environment, noted_environments, table, write_part

from lightning_inv.callbacks.manifest import Manifest, digest, write_json
from lightning_inv.cli import CONFIGS, infer
from lightning_inv.configuration import read_config
from lightning_inv.constraints import Measurement
from lightning_inv.data import FashionMNIST
from lightning_inv.priors import read_provenance

SAMPLES = 8
MEAN = f"ddrm{SAMPLES}"
RIVALS = {
    "reddiff": "RED-Diff",
    "ddrm": "DDRM, one sample",
    MEAN: f"DDRM, mean of {SAMPLES} samples",
    "plug_and_play": "plug-and-play",
}
"""The solvers that have to beat the best classical method, and what the page calls them."""
LABELS = RIVALS | {"pseudo_inverse": "pseudo-inverse"}
COLUMNS = {
    "psnr": ("PSNR [dB]", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "consistency": ("\\|Ax-y\\|/sigma", ".3f"),
    "evaluations": ("NFE", ".0f"),
    "seconds": ("s / image", ".3f"),
}
LEGEND = """\
Numbers are means over images ± standard errors of the mean. \\|Ax-y\\|/sigma is a root mean square over what
was seen, about 1 for the true image; NFE counts evaluations of the network for one image, forward and
backward; s / image is wall time. Problems and solvers are those of `configs/problems` and `configs/solvers`.
Classical methods are chains of functions of scikit-image (`benchmarks/classical.py`); in bold the one that
was best on validation images."""

Scores = dict[str, list[Any]]
"""For each measure a number an image, or one for all; None where there is none."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs what has not been run yet, then writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--root", help="folder of the Fashion-MNIST idx files")
    parser.add_argument("--limit", type=int, default=256, help="test images")
    parser.add_argument("--tuning", type=int, default=64, help="validation images for the classical methods")
    parser.add_argument("--folder", type=Path, default=Path("results/benchmark"), help="where results go")
    parser.add_argument("--tasks", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--accelerator", default="auto", help="what infer.py runs on")
    parser.add_argument("--page", type=Path, default=Path("docs/results.md"), help="the page to write")
    parser.add_argument("--page_only", action="store_true", help="compute nothing")
    options, more = parser.parse_known_args(args)
    if options.root is None and not options.page_only:
        parser.error("--root is needed unless --page_only is given.")
    for task in () if options.page_only else options.tasks:
        run_solvers(task, options, more)
        run_classical(task, options)
    write_part(options.page, "restoration", page(options.folder, options.tasks, options.limit))


def run_solvers(task: str, options: argparse.Namespace, more: list[str]) -> None:
    """Lets infer.py restore the images of a task: all solvers once, then DDRM with several samples."""
    folder, several = options.folder / task, options.folder / f"{task}_{MEAN}"
    images = range(options.limit)
    if any(len(Manifest(path).read(images)) < options.limit for path in (folder, several)):
        note_environment(options.folder, options.accelerator)
    preset = CONFIGS / "solvers" / f"{task}.yaml"
    words = ["--config", str(CONFIGS / "problems" / f"{task}.yaml")]
    words += ["--data", "FashionMNIST", "--data.root", options.root, "--data.split", "test"]
    words += ["--data.limit", str(options.limit), "--trainer.accelerator", options.accelerator, *more]
    infer([*words, "--model.solvers.pseudo_inverse", "PseudoInverse", "--folder", str(folder)])
    ddrm = json.dumps({"ddrm": read_config(preset)["model"]["solvers"]["ddrm"]})
    infer([*words, "--model.solvers", ddrm, "--model.samples", str(SAMPLES), "--folder", str(several)])


def run_classical(task: str, options: argparse.Namespace) -> None:
    """Writes what the classical methods make of the measurements of a task, unless that was done before."""
    path = options.folder / task / "classical.json"
    config = yaml.safe_load((path.parent / "config.yaml").read_text())
    about = about_run(path.parent, config) | {"images": options.limit, "tuning": options.tuning}
    about["methods"] = digest([[[stage.name, stage.grid] for stage in method] for method in METHODS[task]])
    held = json.loads(path.read_text())["about"] if path.exists() else None
    if held and held == about | {"batch_size": held["batch_size"]}:  # which changes nothing but the time
        return
    parser = ArgumentParser()
    parser.add_argument("--measurement", type=Measurement)
    parsed = parser.parse_object({"measurement": config["model"]["measurement"]})
    measurement, data = parser.instantiate(parsed).measurement, FashionMNIST(options.root)
    test = measure(measurement, islice(data.dataset("test"), options.limit), about["seed"])
    other = about["seed"] + 1  # so that no noise is both tuned for and tested on
    val = measure(measurement, islice(data.dataset("val"), options.tuning), other)
    theirs = solver_scores(path.parent, options.limit)["pseudo_inverse"]["psnr"]
    if not np.allclose(score(test.measurement.operator.pinv(test.y), test)["psnr"], theirs, atol=0.01):
        raise ValueError(f"{task}: these measurements are not those of infer.py.")
    methods = {}
    for method in METHODS[task]:
        tuned, settings = tune(method, val)
        began = time.perf_counter()
        x = restore(method, settings, test)
        seconds = (time.perf_counter() - began) / options.limit
        print(f"{task}: {name_of(method)} {tuned:.2f} dB on val, {settings}")
        scores = score(x, test) | {"evaluations": [None], "seconds": [seconds]}
        methods[name_of(method)] = {"tuned": tuned, "settings": settings, **scores}
    write_json(path, {"about": about, "methods": methods})


def about_run(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """What the page tells of a run of infer.py, plain data."""
    held = json.loads((folder / "manifest.json").read_text())
    prior, data = config["model"]["prior"], config["data"]
    facts = {"sha256": held["prior"][:12]} | (read_provenance(prior) if isinstance(prior, str) else {})
    sigma = held["noise"]["init_args"]["sigma"]
    return {key: held[key] for key in ("operator", "files", "seed")} | {
        "sigma": sigma,
        "half": sigma / 2,
        "prior": listed(facts),
        "data": f"{data['class_path'].split('.')[-1]}, split {data['init_args']['split']}",
        "batch_size": data["init_args"]["batch_size"],
    }


def solver_scores(folder: Path, images: int) -> dict[str, Scores]:
    """The scores of the solvers of a folder of infer.py."""
    records = Manifest(folder).read(range(images))
    if len(records) < images:
        raise ValueError(f"{folder} holds {len(records)} of {images} images; run again without --page_only.")
    return {
        solver: {column: [record["solvers"][solver][column] for record in records] for column in values}
        for solver, values in records[0]["solvers"].items()
    }


def page(folder: Path, tasks: Sequence[str], images: int) -> str:
    """The whole page, in Markdown."""
    abouts, sections, gains = [], [], {}
    for task in tasks:
        held = json.loads((folder / task / "classical.json").read_text())
        if held["about"]["images"] != images:
            raise ValueError(f"the classical methods of {task} restored other images: run again.")
        methods, solvers = held["methods"], solver_scores(folder / task, images)
        solvers[MEAN] = mean = solver_scores(folder / f"{task}_{MEAN}", images)["ddrm"]
        mean |= {"psnr": mean["psnr_of_mean"], "ssim": mean["ssim_of_mean"], "consistency": [None]}
        mean["evaluations"] = [SAMPLES * count for count in mean["evaluations"]]
        rows = {label: solvers[name] for name, label in LABELS.items()}
        best = max(methods, key=lambda name: methods[name]["tuned"])
        for name, scores in methods.items():
            settings = [f"{key} {value}" for part in scores["settings"] for key, value in part.items()]
            label = f"{name} ({', '.join(settings)})" if settings else name
            rows[f"**{label}**" if name == best else label] = scores
        precision = json.loads((folder / task / "manifest.json").read_text())["precision"]
        abouts.append(held["about"] | {"precision": precision})
        sections.append(section(task, rows))
        reference = methods[best]["psnr"]
        gains[task] = [np.subtract(solvers[name]["psnr"], reference).tolist() for name in RIVALS]
    return "\n\n".join([preamble(noted_environments(folder), abouts), gain_section(gains), *sections]) + "\n"


def preamble(environments: str, abouts: list[dict[str, Any]]) -> str:
    """What the numbers were made with; what differs between tasks is told more than once."""

    def told(words: str) -> str:
        return "; ".join(dict.fromkeys(words.format(**about) for about in abouts))

    return f"""\
# Restoration of garments

Made by `benchmarks/restoration.py`, not by hand.

- Code: {environments}
- Data: {told("{data}, the first {images} images, in batches of {batch_size}, seed {seed}")}
- Prior: {told("{prior}")}
- Noise: sigma {told("{sigma:g} for images in [-1, 1], {half:g} for images in [0, 1]")}
- Classical settings: {told("chosen on the first {tuning} images of split val")}
- Network: {told("trainer.precision {precision}")}; solvers compute in 32 bits
- Solver settings: those of `configs/solvers`, chosen on validation images as the head of each file says, but
  plug-and-play starts at the Wiener estimate since the pseudo-inverse had failed on test images of deblurring
- Not the papers' defaults: the times of RED-Diff, DDRM and plug-and-play; eta = 0.5 of DDRM in denoising

{LEGEND}"""


def gain_section(gains: dict[str, list[list[float]]]) -> str:
    """The gains of the rivals over the best classical method, for each task and averaged over tasks."""
    rows = {task.replace("_", " "): gain for task, gain in gains.items()}
    rows["**average**"] = np.mean(list(gains.values()), axis=0).tolist()  # all tasks have the same images
    cells = {label: [cell(values, "+.2f") for values in gain] for label, gain in rows.items()}
    return "## Gain over the best classical method, dB\n\n" + table(["task", *RIVALS.values()], cells)


def section(task: str, rows: dict[str, Scores]) -> str:
    """The table of a task."""
    cells = {x: [cell(scores[key], form) for key, (_, form) in COLUMNS.items()] for x, scores in rows.items()}
    heads = ["method", *(head for head, _ in COLUMNS.values())]
    return f"## {task.replace('_', ' ').capitalize()}\n\n" + table(heads, cells)


if __name__ == "__main__":
    main()
