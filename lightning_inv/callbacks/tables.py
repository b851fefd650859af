"""Summaries as tables: for the terminal and in Markdown."""

from typing import Any

from lightning_inv.posterior_metrics import nominal_coverage

DIGITS = {
    "psnr": 2,
    "psnr_of_mean": 2,
    "seconds": 2,
    "fid": 2,
    "evaluations": 0,
    "forward_calls": 0,
    "backward_calls": 0,
    "peak_memory": 0,
}
"""Digits after the point, where they are not 3."""
EXACT = ("evaluations", "forward_calls", "backward_calls", "seconds", "peak_memory")
"""What is told without its standard error."""


def headings(summary: dict[str, Any], costs: tuple[str, ...]) -> dict[str, str]:
    """The measures of a table and what to call them.

    Args:
        summary: The summary.
        costs: Measures of the effort to tell.
    """
    samples = summary.get("samples", 1)
    found = {"psnr": "PSNR [dB]"}
    if samples > 1:
        found["psnr_of_mean"] = f"of mean of {samples}"
    if summary.get("differences"):
        found["difference"] = f"minus {summary['reference']} [95 %]"
    found["ssim"] = "SSIM"
    found |= {measure: measure.upper() for measure in summary.get("perceptual", ())}
    found["consistency"] = "|Ax-y|" if summary.get("sigma") == 0 else "|Ax-y|/sigma"
    if samples > 1:
        found |= {
            "spread_skill": "spread/error",
            "coverage": f"coverage ({100 * nominal_coverage(samples):.0f} %)",
            "crps": "CRPS",
            "energy_score": "energy score",
        }
    titles = {
        "evaluations": "NFE",
        "forward_calls": "NFE forward",
        "backward_calls": "backward",
        "seconds": "s / image",
        "peak_memory": "peak MiB",
    }
    return found | {cost: titles[cost] for cost in costs}


def rows_of(summary: dict[str, Any], costs: tuple[str, ...]) -> list[list[str]]:
    """The cells of a table, a row a solver below the headings; "-" where there is no number.

    Args:
        summary: The summary.
        costs: Measures of the effort to tell.
    """
    heads = headings(summary, costs)
    rows = [["solver", *heads.values()]]
    for solver, measures in summary["solvers"].items():
        told = {**measures, "difference": (summary.get("differences") or {}).get(solver)}
        rows.append([solver, *(cell(measure, told.get(measure)) for measure in heads)])
    return rows + [[solver, *["-"] * len(heads)] for solver in summary.get("refused", {})]


def cell(measure: str, value: dict[str, Any] | None) -> str:
    """A number with its standard error; a difference with its interval."""
    if value is None:
        return "-"
    if measure == "difference":
        low, high = value["low"], value["high"]
        return f"{value['mean']:+.2f}" + ("" if low is None else f" [{low:+.2f}, {high:+.2f}]")
    digits, error = DIGITS.get(measure, 3), value["standard_error"]
    error = "" if measure in EXACT or error is None else f" +- {error:.{digits}f}"
    return f"{value['mean']:.{digits}f}{error}"


def failures(summary: dict[str, Any]) -> list[str]:
    """For which images solvers have failed, a line a solver."""
    return [
        f"{solver} has no result for {told['images']} of {summary['images']} images, which its means leave "
        f"out: {', '.join(told['first'])}{', ...' if told['images'] > len(told['first']) else ''}."
        for solver, told in summary.get("failed", {}).items()
    ]


def aligned(rows: list[list[str]]) -> str:
    """The cells as text, columns below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


def markdown(rows: list[list[str]]) -> str:
    """The cells as a table of Markdown."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]))
