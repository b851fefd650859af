"""The summary at the end of infer.py, made from the records of all images."""

import csv
import io
import math
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_inv.callbacks.journal import Record
from lightning_inv.callbacks.manifest import Manifest, write_json
from lightning_inv.callbacks.scores import COSTS, QUALITY
from lightning_inv.callbacks.tables import aligned, failures, rows_of
from lightning_inv.files import atomic_write
from lightning_inv.posterior_metrics import spread_skill

FIRST = 10
"""Images without a result that the summary names, at most, of each solver."""
COLUMNS = ("psnr", "psnr_of_mean", "ssim", "ssim_of_mean", "consistency", *COSTS)

Values = Sequence[float | None]
"""A measure of a solver, one number an image; None where there is none."""
Statistics = dict[str, float | None] | None
"""Mean and standard error of a measure; None where a value is missing."""


class Column(Values):
    """Values in eight bytes each, of as many images as there are."""

    def __init__(self) -> None:
        self._numbers = array("d")

    def append(self, value: float | None) -> None:
        """Adds a value, which is finite if there is one."""
        self._numbers.append(math.nan if value is None else value)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, i: int) -> float | None:
        return None if math.isnan(self._numbers[i]) else self._numbers[i]


def report(folder: str | Path, indices: range, context: dict[str, Any]) -> dict[str, Any]:
    """Writes ``metrics.csv``, a row an image and solver, and ``summary.json``.

    Args:
        folder: The folder of results.
        indices: The images to report on.
        context: What to say of the run in the summary, plain data.

    Returns:
        The summary: for each solver and measure the mean over images and its standard error. Images for
        which the solver has failed are left out; where there are some, ``failed`` says how many, and
        which were the first.
    """
    folder, samples = Path(folder), context.get("samples", 1)
    columns = (*COLUMNS, *(QUALITY if samples > 1 else ()))
    images, told, failed = 0, {}, {}
    with atomic_write(folder / "metrics.csv") as file:
        text = io.TextIOWrapper(file, "utf-8", "backslashreplace", newline="", write_through=True)
        table = csv.writer(text)
        table.writerow(("index", "name", "solver", *columns, "failed"))
        for record in Manifest(folder).each(indices):
            images += 1
            for solver, values in record["solvers"].items():
                row, reason = [values.get(column) for column in columns], values.get("failed")
                table.writerow((record["index"], record["name"], solver, *row, reason))
                measures = told.setdefault(solver, {column: Column() for column in columns})
                if reason is not None:
                    failed.setdefault(solver, []).append(record["name"])
                    continue
                for column, value in zip(columns, row, strict=True):
                    measures[column].append(value)
        text.detach()
    summary = {
        **context,
        "images": images,
        "solvers": {
            solver: {column: statistics(values) for column, values in measures.items()}
            for solver, measures in told.items()
        },
    }
    if failed:
        summary["failed"] = {
            solver: {"images": len(names), "first": names[:FIRST]} for solver, names in failed.items()
        }
    if samples > 1:
        for solver, measures in told.items():
            ratio = ratio_statistics(measures["spread"], measures["skill"], samples)
            summary["solvers"][solver]["spread_skill"] = ratio
    write_json(folder / "summary.json", summary)
    return summary


def values_of(records: list[Record], solver: str, measure: str) -> list[float | None]:
    """A measure of a solver, one number a record; None where there is none."""
    return [record["solvers"].get(solver, {}).get(measure) for record in records]


def statistics(values: Values) -> Statistics:
    """Mean and standard error of the mean, None for a single value; None in all if a value is missing."""
    if not values or any(value is None for value in values):
        return None
    n, mean = len(values), math.fsum(values) / len(values)
    if n == 1:
        return {"mean": mean, "standard_error": None}
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return {"mean": mean, "standard_error": math.sqrt(variance / n)}


def ratio_statistics(spreads: Values, skills: Values, samples: int) -> Statistics:
    """The spread-skill ratio over images and its standard error by the jackknife.

    Args:
        spreads: The spread of each image.
        skills: The error of the mean of the samples of each image.
        samples: The number of samples.
    """
    if not spreads or None in spreads or None in skills:
        return None
    ratio, n = spread_skill(spreads, skills, samples), len(spreads)
    if ratio is None:
        return None
    above, below = (math.fsum(value**2 for value in values) for values in (spreads, skills))
    rests = [(above - s**2, below - e**2) for s, e in zip(spreads, skills, strict=True)]  # without one image
    if n == 1 or any(rest <= 0 for _, rest in rests):
        return {"mean": ratio, "standard_error": None}
    others = [ratio * math.sqrt(max(0.0, s / above * below / e)) for s, e in rests] if above else [0.0] * n
    mean = math.fsum(others) / n
    variance = math.fsum((other - mean) ** 2 for other in others) * (n - 1) / n
    return {"mean": ratio, "standard_error": math.sqrt(variance)}


def as_text(summary: dict[str, Any]) -> str:
    """The summary as a table."""
    return "\n".join([aligned(rows_of(summary, ("evaluations", "seconds"))), *failures(summary)])
