"""Compares what solvers draw with the exact posterior and writes docs/conformance.md.

    python benchmarks/conformance.py

No data and no trained prior are needed: the priors are Gaussians, whose denoiser and posterior are exact.
What was computed stays in ``--folder``, and the same command goes on; take another folder for other code.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from exact import BIAS, ROWS, Bench, Projection, Row, gaussian, mixture
from matplotlib.figure import Figure
from pages import environment
from pages import table as markdown

from lightning_inv.callbacks.manifest import digest, write_json
from lightning_inv.operators import DenseMatrix
from lightning_inv.solvers import (
    DAPS,
    DDNM,
    DDRM,
    DDRMJPEG,
    DPS,
    MCG,
    MMPS,
    SDS,
    TDS,
    DDNMPlus,
    DiffPIR,
    ExactGuidance,
    Grid,
    PiGDM,
    PlugAndPlay,
    PseudoInverse,
    REDDiff,
    RePaint,
    Solver,
    TimeTravel,
    Unconditional,
)

SIGMAS = (0.0, 0.02, 0.1, 0.5)
BUDGETS = (20, 100, 1000, 5000)
"""Network evaluations for one result, forward and backward."""


def twisted(budget: int) -> TDS:
    """Particles and steps that grow together."""
    particles, iterations = max(2, round(3 * (budget / 100) ** 0.45)), 1 if budget < 200 else 2
    return TDS(budget // (particles * (iterations + 1)), particles, iterations)


PRESET = Grid("quadratic", 0.5, 0.02)
SOLVERS: dict[str, Callable[[int], Solver]] = {
    "DDRM (eta 0.85, eta_b 1)": DDRM,
    "DDRM (eta 1, eta_b 1)": partial(DDRM, eta=1.0),
    "DDNM": DDNM,
    "DDNM, time travel": lambda budget: DDNM(budget // 5, travel=TimeTravel(2, 5)),
    "DDNM+": DDNMPlus,
    "RePaint": lambda budget: RePaint(budget // 10),
    "DiffPIR": DiffPIR,
    "DiffPIR, official weight": partial(DiffPIR, weight=1.75),
    "DPS": lambda budget: DPS(budget // 2),
    "DPS, zeta as it is": lambda budget: DPS(budget // 2, reference=None),
    "MCG": lambda budget: MCG(budget // 2),
    "PiGDM": lambda budget: PiGDM(budget // 2),
    "PiGDM, full weight": lambda budget: PiGDM(budget // 2, exact=True),
    "MMPS": lambda budget: MMPS(budget // 4, iterations=3),
    "DAPS": lambda budget: DAPS(budget // 5),
    "DAPS, exact draws": lambda budget: DAPS(budget // 5, inner="exact"),
    "RED-diff": REDDiff,
    "RED-diff, preset of inpainting": partial(REDDiff, weight=0.5, start_from="wiener", plan=PRESET),
    "plug-and-play": lambda budget: PlugAndPlay(budget // 2),
    "plug-and-play, preset of inpainting": lambda budget: PlugAndPlay(
        budget // 2, lr=0.05, weight=50.0, anneal=False, start_from="wiener", plan=PRESET
    ),
    "TDS": twisted,
    "exact guidance": ExactGuidance,
}
"""For a budget a solver with settings of its paper unless said; presets are in configs/solvers."""
BLIND: dict[str, Callable[[int], Solver]] = {
    "DDIM": Unconditional,
    "DDPM": partial(Unconditional, eta=1.0),
    "SDS": SDS,
}
"""Those that look at no measurement."""
DRAWN = (
    "DDRM (eta 0.85, eta_b 1)",
    "DDNM+",
    "DPS, zeta as it is",
    "PiGDM, full weight",
    "DiffPIR",
    "DAPS, exact draws",
    "MMPS",
    "TDS",
)
"""The curves of the figure."""


class Found(NamedTuple):
    """A row of a table."""

    table: str
    solver: str
    budget: int
    """0 for what needs no network."""
    evaluations: int
    row: Row


def run(options: argparse.Namespace) -> Iterator[Found]:
    """Every solver on every problem."""
    size = options.images, options.samples
    for kind, prior in {"Gaussian prior": gaussian(), "Mixture of three Gaussians": mixture()}.items():
        if not kind.startswith(options.tables):
            continue
        for sigma in SIGMAS:
            bench, table = Bench(prior, sigma, DenseMatrix(ROWS.tolist()), *size), f"{kind}, sigma {sigma:g}"
            yield Found(table, "exact posterior", 0, 0, bench.compare(bench.truth()))
            yield Found(table, "pseudo-inverse", 0, 0, bench.compare(bench.solve(PseudoInverse())[0]))
            yield from compared(bench, table, SOLVERS, options)
        coded = Bench(prior, 0.0, Projection(), *size)
        jpeg = {"DDRM for JPEG": lambda budget: DDRMJPEG(min(budget, 300))}
        yield from compared(coded, f"{kind}, a linear coding in the place of JPEG", jpeg, options)
        blind = Bench(prior, 1e6, DenseMatrix(ROWS.tolist()), *size)
        yield from compared(blind, f"{kind}, nothing is measured", BLIND, options)


def compared(
    bench: Bench, table: str, solvers: dict[str, Callable[[int], Solver]], options: argparse.Namespace
) -> Iterator[Found]:
    """Solvers of each budget that they can spend, unless the folder has them already."""
    for name, make in solvers.items():
        for budget in options.budgets:
            solver = make(budget)
            langevin = isinstance(solver, DAPS) and solver.inner == "langevin"
            needless = langevin and (not bench.sigma or budget > 1000)  # needs noise, and takes long
            if solver.steps > bench.prior.schedule.T or needless:
                continue
            path = (
                options.folder / f"{digest([table, name, budget, options.images, options.samples])[:16]}.json"
            )
            if not path.exists():
                print(table, name, budget, flush=True)
                x, evaluations = bench.solve(solver)
                write_json(path, [evaluations, bench.compare(x)])
            evaluations, row = json.loads(path.read_text())
            yield Found(table, name, budget, evaluations, Row(*row))


def verdicts(found: list[Found]) -> dict[str, bool]:
    """Whether each solver is consistent: right in every table with its largest budget."""
    most = {name: max(f.budget for f in found if f.solver == name) for name in {f.solver for f in found}}
    names = dict.fromkeys(f.solver for f in found if f.budget)
    last = {name: [f.row for f in found if f.solver == name and f.budget == most[name]] for name in names}
    return {name: all(row.right for row in rows) for name, rows in last.items()}


def averages(found: list[Found], solver: str, budget: int) -> dict[str, float] | None:
    """Mean errors of a solver over the tables with measurements; None if one of them lacks it."""
    rows = [f.row for f in found if (f.solver, f.budget) == (solver, budget) and ", sigma " in f.table]
    if len(rows) < 2 * len(SIGMAS):
        return None
    told = [part for row in rows for part in zip(row.bias, row.spread, row.coverage, strict=True)]
    told = [part for part in told if part[0] is not None]
    return {
        "bias": sum(b for b, _, _ in told) / len(told),
        "spread": sum(abs(s - 1) for _, s, _ in told) / len(told),
        "coverage": sum(abs(c - 0.9) for _, _, c in told) / len(told),
        "distance": sum(row.distance for row in rows) / len(rows),
    }


def draw(found: list[Found], budgets: Sequence[int], path: Path) -> None:
    """The errors of solvers against their budgets."""
    heads = {"bias": "bias, deviations", "spread": "|spread - 1|", "coverage": "|coverage - 90 %|"}
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, (key, head) in zip(panels, heads.items(), strict=True):
        for name in DRAWN:
            points = [(budget, averages(found, name, budget)) for budget in budgets]
            points = [(budget, max(errors[key], 0.01)) for budget, errors in points if errors]
            style = {"lw": 3, "color": "black"} if name == "TDS" else {"lw": 1.2}
            axes.plot(*zip(*points, strict=True), marker="o", label=name, **style)
        axes.set(xscale="log", yscale="log", xlabel="network evaluations", title=head)
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(DRAWN) // 2)
    figure.savefig(path, dpi=90, metadata={"Software": None})


def page(found: list[Found], options: argparse.Namespace) -> str:
    """The whole page, in Markdown."""
    found_right = verdicts(found)
    heads, cells = ["solver", *map(str, options.budgets)], {}
    for name in dict.fromkeys(f.solver for f in found if f.solver in SOLVERS):
        each = [averages(found, name, budget) for budget in options.budgets]
        cells[name] = [f"{errors['distance']:.2f}" if errors else "-" for errors in each]
    sections: dict[str, list[str]] = {}
    for one in found:
        sections.setdefault(one.table, []).append(line(one))
    tables = [f"## {title}\n\n{HEAD}\n" + "\n".join(lines) for title, lines in sections.items()]
    head = INTRODUCTION.format(
        environment=environment(),
        images=options.images,
        samples=options.samples,
        bias=BIAS,
        right=", ".join(name for name, right in found_right.items() if right) or "no solver",
        wrong=", ".join(name for name, right in found_right.items() if not right) or "none",
        summary=markdown(heads, cells),
    )
    return "\n\n".join([head, *tables]) + "\n"


def line(one: Found) -> str:
    """A row of a table."""
    row, counted = one.row, str(one.evaluations) if one.evaluations else f"({one.budget} steps)"
    pairs = zip(row.bias, row.spread, row.coverage, strict=True)
    cells = ["- | - | -" if b is None else f"{b:.2f} | {s:.2f} | {100 * c:.0f} %" for b, s, c in pairs]
    label = f"| {one.solver} | {counted if one.budget else '-'} | {' | '.join(cells)} "
    return f"{label}| {row.distance:.2f} | {row.consistency:.2f} |"


KINDS = ("seen", "unseen")
COLUMNS = ["NFE", *(h for kind in KINDS for h in (f"bias, {kind}", "spread", "coverage")), "distance"]
HEAD = f"| solver | {' | '.join(COLUMNS)} | \\|Ax-y\\|/sigma |\n" + "| --- " * 10 + "|"
INTRODUCTION = (Path(__file__).parent / "conformance.txt").read_text(encoding="utf-8").rstrip()


def main(args: Sequence[str] | None = None) -> None:
    """Runs everything and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--samples", type=int, default=39, help="20 k - 1")
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS)
    parser.add_argument("--page", type=Path, default=Path(__file__).parents[1] / "docs" / "conformance.md")
    parser.add_argument("--folder", type=Path, default=Path("results/conformance"), help="what is computed")
    parser.add_argument(
        "--tables", default="", help="compute only those whose name has this word, and no page"
    )
    options = parser.parse_args(args)
    found = list(run(options))
    if options.tables:
        return
    options.page.write_text(page(found, options), encoding="utf-8")
    draw(found, options.budgets, options.page.with_name("consistency.png"))


if __name__ == "__main__":
    main()
