"""The comparison at the end of a run of several problems, made from the records of all images."""

import csv
import io
import math
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from scipy.stats import t as student

from lightning_inv.callbacks.manifest import Manifest, write_json
from lightning_inv.callbacks.pictures import write_picture
from lightning_inv.callbacks.plots import against
from lightning_inv.callbacks.report import values_of
from lightning_inv.callbacks.tables import aligned, markdown, rows_of
from lightning_inv.files import atomic_write
from lightning_inv.modules import Restoration

PLOTS = {"evaluations": "nfe", "seconds": "seconds"}
RANKED = "psnr_of_mean"
"""The measure by which solvers are compared: PSNR of the mean of samples, or of the only one."""
COSTS = ("forward_calls", "backward_calls", "seconds", "peak_memory")
FIELDS = ("problem", "solver", "measure", "mean", "standard_error", "n", "low", "high", "reference")
LEGEND = """\
Numbers are means over images, +- their standard errors. In each problem all solvers met the same
measurements and the same streams of noise. "minus" is the mean difference of PSNR (of the mean of samples) to
that solver on the same images, with its interval of 95 % (Student's t over images; one seed, so it does not
tell what other noise would change). |Ax-y|/sigma is a root mean square over what was seen, about 1 for the
true image. NFE counts calls of the network for one sample; s / image is wall time, all samples; MiB is the
peak of memory: on an accelerator what torch allocated, on a CPU all that the process held."""
POSTERIOR = """ \
Spread/error is 1, and coverage of the interval of 90 % is as said in brackets, if samples are those of the
posterior; of CRPS and energy score the lower is the better."""


class Comparison(Callback):
    """Writes ``comparison.csv``, ``comparison.md`` and plots of PSNR against effort, of several problems.

    Args:
        folder: The folder of results.
        reference: The solver that the others are compared with; None for the best of each problem.
    """

    def __init__(self, folder: str = "results/demo", reference: str | None = None) -> None:
        self.folder, self.reference = Path(folder), reference

    def setup(self, trainer: Trainer, pl_module: Restoration, stage: str) -> None:
        if self.reference is None:
            return
        if pl_module.problems is None:
            raise ValueError("compare.reference is for several problems, but model.problems names none.")
        names = dict.fromkeys(name for work in pl_module.work.values() for name in work.solvers)
        if self.reference not in names:
            raise ValueError(
                f"compare.reference must be a solver, {', '.join(names)}; got {self.reference!r}."
            )

    def write(self, summaries: dict[str, dict[str, Any]], indices: range) -> str:
        """Writes everything and returns the tables as text.

        Args:
            summaries: The summary of each problem; it learns what is compared here.
            indices: The images to report on.
        """
        for name, summary in summaries.items():
            records = Manifest(self.folder / name).read(indices)
            summary |= differences(summary, records, self.reference)
        for measure in ("evaluations", "seconds"):
            write_picture(self.folder / f"psnr_{PLOTS[measure]}.png", against(measure, summaries))
        write_json(self.folder / "summary.json", {"problems": summaries})
        with atomic_write(self.folder / "comparison.csv") as file:
            file.write(long_form(summaries).encode())
        with atomic_write(self.folder / "comparison.md") as file:
            file.write(page(summaries).encode())
        return "\n\n".join(
            "\n".join([headline(name, told), aligned(rows_of(told, COSTS)), *notes(told)])
            for name, told in summaries.items()
        )


def differences(
    summary: dict[str, Any], records: list[dict[str, Any]], reference: str | None
) -> dict[str, Any]:
    """The paired differences of PSNR of each solver to the reference.

    Args:
        summary: The summary of the problem.
        records: The records of its images.
        reference: The solver to compare with; None for the best.

    Returns:
        ``reference``, and ``differences`` by solver, which is empty where there is nothing to compare.
    """
    scored = {name: told[RANKED]["mean"] for name, told in summary["solvers"].items() if told.get(RANKED)}
    if reference is None and scored:
        reference = max(scored, key=scored.__getitem__)
    if reference not in scored:
        return {"reference": reference, "differences": {}}
    theirs = values_of(records, reference, RANKED)
    others = (name for name in scored if name != reference)
    return {
        "reference": reference,
        "differences": {name: difference(values_of(records, name, RANKED), theirs) for name in others},
    }


def difference(one: list[float], other: list[float], level: float = 0.95) -> dict[str, float | None]:
    """The mean of paired differences with its interval by Student's t; None for that of a single pair.

    Args:
        one: Numbers, one an image.
        other: Those to subtract, of the same images.
        level: The probability of the interval.
    """
    gaps = [a - b for a, b in zip(one, other, strict=True)]
    n, mean = len(gaps), math.fsum(gaps) / len(gaps)
    if n == 1:
        return {"mean": mean, "standard_error": None, "low": None, "high": None}
    error = math.sqrt(math.fsum((gap - mean) ** 2 for gap in gaps) / (n - 1) / n)
    half = float(student.ppf(0.5 + level / 2, n - 1)) * error
    return {"mean": mean, "standard_error": error, "low": mean - half, "high": mean + half}


def long_form(summaries: dict[str, dict[str, Any]]) -> str:
    """All figures in six digits as CSV, a row a problem, solver and measure."""
    text = io.StringIO()
    table = csv.DictWriter(text, FIELDS, restval="", lineterminator="\n")
    table.writeheader()
    for problem, summary in summaries.items():
        rows = [
            {"solver": solver, "measure": measure, **(value or {})}
            for solver, measures in summary["solvers"].items()
            for measure, value in measures.items()
        ]
        rows += [
            {"solver": solver, "measure": "psnr_difference", "reference": summary["reference"], **value}
            for solver, value in summary["differences"].items()
        ]
        for row in rows:
            row = {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()}
            table.writerow({"problem": problem, "n": summary["images"], **row})
    return text.getvalue()


def headline(name: str, summary: dict[str, Any]) -> str:
    """What the problem is, in a line."""
    noise = f"noise {summary['noise']['class_path'].rpartition('.')[2]}" if "noise" in summary else ""
    if "sigma" in summary:
        noise = f"sigma {summary['sigma']:g} ({summary['sigma_of_images_in_0_1']:g} for images in [0, 1])"
    return f"{name}: {summary['operator']}, {noise}, {summary['images']} images"


def notes(summary: dict[str, Any]) -> list[str]:
    """Why numbers are missing."""
    found = [f"{solver} is left out: {reason}" for solver, reason in summary.get("refused", {}).items()]
    if summary["reference"] is not None and not summary["differences"] and len(summary["solvers"]) > 1:
        found.append(f"No differences: {summary['reference']} has no PSNR here.")
    return found + list(summary.get("missing", {}).values())


def page(summaries: dict[str, dict[str, Any]]) -> str:
    """The tables in Markdown."""
    first = next(iter(summaries.values()))
    parts = ["# Comparison", LEGEND.replace("|", "\\|") + (POSTERIOR if first["samples"] > 1 else "")]
    for name, summary in summaries.items():
        parts += [f"## {headline(name, summary)}", markdown(rows_of(summary, COSTS)), *notes(summary)]
    return "\n\n".join(
        [*parts, "![PSNR against NFE](psnr_nfe.png)\n![PSNR against seconds](psnr_seconds.png)\n"]
    )
