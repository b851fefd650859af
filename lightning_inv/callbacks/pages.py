"""A comparison as CSV, as a page of Markdown and as text."""

import csv
import io
from typing import Any

from lightning_inv.callbacks.tables import aligned, failures, markdown, rows_of

COSTS = ("forward_calls", "backward_calls", "seconds", "peak_memory")
PERCEPTUAL = """ \
LPIPS, FID and KID are of 8-bit images, one sample each; the lower the better. FID of few images is biased:
use thousands."""
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


def long_form(summaries: dict[str, dict[str, Any]]) -> str:
    """All figures in six digits as CSV, a row a problem, solver and measure."""
    text = io.StringIO()
    table = csv.DictWriter(text, FIELDS, restval="", lineterminator="\n")
    table.writeheader()
    for problem, summary in summaries.items():
        rows = [
            {
                "solver": solver,
                "measure": measure,
                "n": count(summary, solver) if value else 0,
                **(value or {}),
            }
            for solver, measures in summary["solvers"].items()
            for measure, value in measures.items()
        ]
        rows += [
            {
                "solver": solver,
                "measure": "psnr_difference",
                "reference": summary["reference"],
                **value,
            }
            for solver, value in summary["differences"].items()
        ]
        for row in rows:
            row = {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()}
            table.writerow({"problem": problem, **row})
    return text.getvalue()


def count(summary: dict[str, Any], solver: str) -> int:
    """The images for which a solver has a result."""
    return summary["images"] - summary.get("failed", {}).get(solver, {}).get("images", 0)


def headline(name: str, summary: dict[str, Any]) -> str:
    """What the problem is, in a line."""
    noise = f"noise {summary['noise']['class_path'].rpartition('.')[2]}" if "noise" in summary else ""
    if "sigma" in summary:
        noise = f"sigma {summary['sigma']:g} ({summary['sigma_of_images_in_0_1']:g} for images in [0, 1])"
    return f"{name}: {summary['operator']}, {noise}, {summary['images']} images"


def notes(summary: dict[str, Any]) -> list[str]:
    """Why numbers are missing."""
    found = failures(summary) + [
        f"{solver} is left out: {reason}" for solver, reason in summary.get("refused", {}).items()
    ]
    if summary["reference"] is not None and not summary["differences"] and len(summary["solvers"]) > 1:
        found.append(f"No differences: {summary['reference']} has no PSNR here.")
    reasons: dict[str, list[str]] = {}
    for measure, reason in summary.get("missing", {}).items():
        reasons.setdefault(reason, []).append(measure.upper())
    return found + [f"Not measured: {', '.join(names)}; {reason}." for reason, names in reasons.items()]


def page(summaries: dict[str, dict[str, Any]]) -> str:
    """The tables in Markdown."""
    first = next(iter(summaries.values()))
    legend = LEGEND + (POSTERIOR if first["samples"] > 1 else "")
    if any(told.get("perceptual") for told in summaries.values()):
        legend += PERCEPTUAL
    parts = ["# Comparison", legend.replace("|", "\\|")]
    for name, summary in summaries.items():
        parts += [f"## {headline(name, summary)}", markdown(rows_of(summary, COSTS)), *notes(summary)]
    return "\n\n".join(
        [*parts, "![PSNR against NFE](psnr_nfe.png)\n![PSNR against seconds](psnr_seconds.png)\n"]
    )


def as_tables(summaries: dict[str, dict[str, Any]]) -> str:
    """The tables as text, for the terminal."""
    return "\n\n".join(
        "\n".join([headline(name, told), aligned(rows_of(told, COSTS)), *notes(told)])
        for name, told in summaries.items()
    )
