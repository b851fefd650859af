"""What a search leaves behind: a preset with its evidence, and a table of all trials."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lightning_inv.files import atomic_write
from lightning_inv.recipes import describe
from lightning_inv.solvers import Solver
from lightning_inv.tuning.search import Search, finished


def write_trials(study: Any, path: Path) -> None:
    """A row for each trial: its number, how it ended, its measure, its settings, seconds and error."""
    names = sorted({name for trial in study.trials for name in trial.params})
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["trial", "state", "value", *names, "seconds", "error"])
    for trial in finished(study):
        seconds = trial.duration.total_seconds() if trial.duration else None
        value = trial.value if trial.value is not None else trial.intermediate_values.get(trial.last_step)
        values = [trial.params.get(name) for name in names]
        writer.writerow(
            [trial.number, trial.state.name.lower(), value, *values, seconds, trial.user_attrs.get("error")]
        )
    with atomic_write(path) as file:
        file.write(table.getvalue().encode())


def preset_text(search: Search, study: Any, solver: Solver, run: Mapping[str, Any]) -> str:
    """A file of settings that ``--config`` takes, with the evidence as comments above.

    Args:
        search: The search.
        study: Its trials.
        solver: The solver with the best settings.
        run: What else is told of the run, by what it is.
    """
    best, ends = study.best_trial, [trial.state.name for trial in finished(study)]
    error = best.user_attrs.get("error_of_mean")
    counts = {name.lower(): ends.count(name) for name in ("COMPLETE", "PRUNED", "FAIL")}
    evidence = {
        "measure": f"{search.measure} {best.value:.4f}"
        + (f" +- {error:.4f} (standard error)" if error else ""),
        "trials": f"{counts['complete']} completed, {counts['pruned']} pruned, {counts['fail']} failed",
        "varied": ", ".join(f"{path} {short(value)}" for path, value in best.params.items()),
        **run,
    }
    lines = [f"# {search.solver}, tuned by infer.py."]
    lines += [f"# {name}: {' '.join(str(value).split())}" for name, value in evidence.items()]
    lines += [
        "# Images, masks and noise of the search are not those of tests: they follow from the split and the",
        "# seed above. To meet them again, give --data.split and --model.seed.",
    ]
    tree = {"model": {"solvers": {search.solver: describe(solver)}}}
    return "\n".join(lines) + "\n" + yaml.safe_dump(tree, sort_keys=False)


def short(value: Any) -> str:
    """A value in a few digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write_preset(path: Path, text: str) -> None:
    """Writes the preset."""
    with atomic_write(path) as file:
        file.write(text.encode())
