"""The summary at the end of infer.py, made from the records of all images."""

import csv
import io
import math
from pathlib import Path
from typing import Any

from lightning_inv.callbacks.manifest import Manifest, write_json
from lightning_inv.callbacks.scores import COSTS, QUALITY
from lightning_inv.callbacks.tables import aligned, rows_of
from lightning_inv.files import atomic_write
from lightning_inv.posterior_metrics import spread_skill

COLUMNS = ("psnr", "psnr_of_mean", "ssim", "ssim_of_mean", "consistency", *COSTS)

Statistics = dict[str, float | None] | None
"""Mean and standard error of a measure; None where a value is missing."""


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
    samples = context.get("samples", 1)
    columns = (*COLUMNS, *(QUALITY if samples > 1 else ()))
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("index", "name", "solver", *columns))
    for record in records:
        for solver, values in record["solvers"].items():
            cells = ("" if values.get(column) is None else values[column] for column in columns)
            table.writerow((record["index"], record["name"], solver, *cells))
    with atomic_write(folder / "metrics.csv") as file:
        file.write(text.getvalue().encode())
    solvers = dict.fromkeys(solver for record in records for solver in record["solvers"])
    told = {solver: {column: values_of(records, solver, column) for column in columns} for solver in solvers}
    summary = {
        **context,
        "images": len(records),
        "solvers": {
            solver: {column: statistics(values) for column, values in measures.items()}
            for solver, measures in told.items()
        },
    }
    if samples > 1:
        for solver, measures in told.items():
            ratio = ratio_statistics(measures["spread"], measures["skill"], samples)
            summary["solvers"][solver]["spread_skill"] = ratio
    write_json(folder / "summary.json", summary)
    return summary


def values_of(records: list[dict[str, Any]], solver: str, measure: str) -> list[float | None]:
    """A measure of a solver, one number a record; None where there is none."""
    return [record["solvers"].get(solver, {}).get(measure) for record in records]


def statistics(values: list[float | None]) -> Statistics:
    """Mean and standard error of the mean, None for a single value; None in all if a value is missing."""
    if not values or any(value is None for value in values):
        return None
    n, mean = len(values), math.fsum(values) / len(values)
    if n == 1:
        return {"mean": mean, "standard_error": None}
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return {"mean": mean, "standard_error": math.sqrt(variance / n)}


def ratio_statistics(spreads: list[float | None], skills: list[float | None], samples: int) -> Statistics:
    """The spread-skill ratio over images and its standard error by the jackknife.

    Args:
        spreads: The spread of each image.
        skills: The error of the mean of the samples of each image.
        samples: The number of samples.
    """
    if not spreads or None in spreads or None in skills:
        return None
    ratio, n = spread_skill(spreads, skills, samples), len(spreads)
    others = [
        spread_skill(spreads[:i] + spreads[i + 1 :], skills[:i] + skills[i + 1 :], samples) for i in range(n)
    ]
    if ratio is None:
        return None
    if n == 1 or None in others:
        return {"mean": ratio, "standard_error": None}
    mean = math.fsum(others) / n
    variance = math.fsum((other - mean) ** 2 for other in others) * (n - 1) / n
    return {"mean": ratio, "standard_error": math.sqrt(variance)}


def as_text(summary: dict[str, Any]) -> str:
    """The summary as a table."""
    return aligned(rows_of(summary, ("evaluations", "seconds")))
