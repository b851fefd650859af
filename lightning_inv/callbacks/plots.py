"""Plots of quality against effort."""

import io
import math
import re
from itertools import groupby
from typing import Any

from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

from lightning_inv.opening import open_picture

LABELS = {"evaluations": "network calls for a sample, forward and backward", "seconds": "seconds an image"}
MEASURE = "psnr_of_mean"


def family(name: str) -> tuple[str, int]:
    """The name without the number at its end, and that number: of "ddrm_20" they are "ddrm" and 20."""
    match = re.fullmatch(r"(.+)_(\d+)", name)
    return (match[1], int(match[2])) if match else (name, 0)


def style(i: int) -> tuple[str, str]:
    """The colour and the marker of the i-th solver; fifty differ."""
    return f"C{i % 10}", "os^vD"[i // 10 % 5]


def against(measure: str, summaries: dict[str, dict[str, Any]]) -> Image.Image:
    """PSNR against what it took, a panel a problem.

    A line joins the solvers of one family, such as ddrm_20 and ddrm_100. Bars are standard errors. A solver
    without the network has no place on a logarithmic axis: it is a dashed line.

    Args:
        measure: "evaluations" or "seconds".
        summaries: The summary of each problem.
    """
    with rc_context():
        rcdefaults()  # of a matplotlibrc where one is, which may have latex started
        rcParams["text.parse_math"] = False  # names are no formulas
        return _drawn(measure, summaries)


def _drawn(measure: str, summaries: dict[str, dict[str, Any]]) -> Image.Image:
    """The panels and what they tell, see ``against``."""
    columns = min(4, len(summaries))
    rows = math.ceil(len(summaries) / columns)
    figure = Figure((4 * columns, 3.2 * rows + 0.8), dpi=120, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    solvers = dict.fromkeys(family(solver)[0] for told in summaries.values() for solver in told["solvers"])
    styles = {name: style(i) for i, name in enumerate(solvers)}
    entries = {}
    for axes, (problem, summary) in zip(panels, summaries.items(), strict=False):
        _panel(axes, measure, summary, styles)
        axes.set(title=problem, xlabel=LABELS[measure], ylabel="PSNR [dB]", xscale="log")
        low, high = axes.get_xlim()
        ticks = (1,) if high > 200 * low else (1, 2, 5) if high > 10 * low else range(1, 10)
        axes.xaxis.set_major_locator(LogLocator(subs=ticks))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        handles, names = axes.get_legend_handles_labels()
        entries |= dict(zip(names, handles, strict=True))
    for axes in panels[len(summaries) :]:
        axes.remove()
    if entries:
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=3 * columns)
    data = io.BytesIO()
    figure.savefig(data, format="png")
    with open_picture(data) as image:
        return image.copy()


def _panel(axes: Axes, measure: str, summary: dict[str, Any], styles: dict[str, tuple[str, str]]) -> None:
    """Draws the solvers of one problem that have a PSNR, each by its colour and marker."""
    scored = [name for name, told in summary["solvers"].items() if told.get(MEASURE) and told.get(measure)]
    for name, members in groupby(sorted(scored, key=family), lambda solver: family(solver)[0]):
        told, (colour, marker) = [summary["solvers"][member] for member in members], styles[name]
        x = [measures[measure]["mean"] for measures in told]
        y = [measures[MEASURE]["mean"] for measures in told]
        error = [measures[MEASURE]["standard_error"] or 0.0 for measures in told]
        if min(measures["evaluations"]["mean"] for measures in told) > 0 and min(x) > 0:
            axes.errorbar(x, y, error, color=colour, label=name, marker=marker, capsize=3)
        else:
            axes.axhline(y[0], color=colour, label=name, linestyle="--")
