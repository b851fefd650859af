"""The tables at the end of infer.py, made from the records of all images."""

import csv
import io
import math
from pathlib import Path
from typing import Any

from lightning_inv.callbacks.manifest import Manifest, write_json
from lightning_inv.callbacks.scores import COSTS
from lightning_inv.files import atomic_write

COLUMNS = ("psnr", "psnr_of_mean", "ssim", "ssim_of_mean", "consistency", *COSTS)


def report(folder: str | Path, indices: range, context: dict[str, Any]) -> dict[str, Any]:
    """Writes ``metrics.csv``, a row an image and solver, and ``summary.json``.

    Args:
        folder: The folder of results.
        indices: The images to report on.
        context: What to say of the run in the summary, plain data.

    Returns:
        The summary: for each solver and measure the mean over images and its standard error.
    """
    folder, records = Path(folder), Manifest(folder).read(indices)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("index", "name", "solver", *COLUMNS))
    for record in records:
        for solver, values in record["solvers"].items():
            cells = ("" if values.get(column) is None else values[column] for column in COLUMNS)
            table.writerow((record["index"], record["name"], solver, *cells))
    with atomic_write(folder / "metrics.csv") as file:
        file.write(text.getvalue().encode())
    solvers = dict.fromkeys(solver for record in records for solver in record["solvers"])
    summary = {
        **context,
        "images": len(records),
        "solvers": {
            solver: {
                column: statistics([r["solvers"][solver].get(column) for r in records]) for column in COLUMNS
            }
            for solver in solvers
        },
    }
    write_json(folder / "summary.json", summary)
    return summary


def statistics(values: list[float | None]) -> dict[str, float | None] | None:
    """Mean and standard error of the mean, None for a single value; None in all if a value is missing."""
    if not values or any(value is None for value in values):
        return None
    n, mean = len(values), math.fsum(values) / len(values)
    if n == 1:
        return {"mean": mean, "standard_error": None}
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return {"mean": mean, "standard_error": math.sqrt(variance / n)}


def as_text(summary: dict[str, Any]) -> str:
    """The summary as a table."""
    samples = summary.get("samples", 1)
    heads = {"psnr": "PSNR [dB]", "ssim": "SSIM", "consistency": "|Ax-y|/sigma"}
    if samples > 1:
        heads = {
            "psnr": "PSNR [dB]",
            "psnr_of_mean": f"of mean of {samples}",
            "ssim": "SSIM",
            "consistency": "|Ax-y|/sigma",
        }
    if summary.get("sigma") == 0:
        heads["consistency"] = "|Ax-y|"
    heads |= {"evaluations": "NFE", "seconds": "s / image"}
    lines = [["solver", *heads.values()]]
    for solver, measures in summary["solvers"].items():
        lines.append([solver, *(_cell(column, measures[column]) for column in heads)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )


def _cell(column: str, value: dict[str, float | None] | None) -> str:
    if value is None:
        return "-"
    if column == "evaluations":
        return f"{value['mean']:.0f}"
    digits = 2 if column.startswith("psnr") or column == "seconds" else 3
    error = value["standard_error"]
    error = "" if column == "seconds" or error is None else f" +- {error:.{digits}f}"
    return f"{value['mean']:.{digits}f}{error}"
