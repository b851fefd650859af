"""The search itself: trials by optuna, kept in a file, so that an interrupted search goes on."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from types import ModuleType
from typing import Any, Literal

from lightning_inv.tuning.checks import check_trials
from lightning_inv.tuning.journal import TrialJournal
from lightning_inv.tuning.space import read_space

MEASURES = {
    **dict.fromkeys(("psnr", "psnr_of_mean", "ssim", "ssim_of_mean"), "maximize"),
    **dict.fromkeys(("crps", "energy_score", "skill"), "minimize"),
}
"""What may be searched for, and whether more or less of it is better."""

Evaluate = Callable[[Mapping[str, Any]], Iterator[Sequence[float | None]]]
"""Restores images with these settings, chunk by chunk, and yields the measure of each image of a chunk; None
where it is infinite or no number."""


@dataclass(frozen=True)
class Search:
    """A search of the settings of one solver.

    Args:
        solver: Its name in ``model.solvers``.
        space: For each setting, by its path such as ``lr`` or ``plan.init_args.high``, a range ``{low, high,
            log}`` or a list ``{choices}``.
        trials: How many settings are tried in all.
        measure: What the best has most or least of, see ``MEASURES``; the mean over images counts.
        images: How many images are restored, the first ones of the split.
        seed: All random numbers follow from it; it differs from ``model.seed``, so that masks and noise are
            others than those of tests.
        pruner: What ends trials early: those below the median of the others so far, successive halving, or
            nothing.
        startup: Trials before any is ended early.
    """

    solver: str
    space: dict[str, dict[str, Any]]
    trials: int = 30
    measure: str = "psnr"
    images: int = 32
    seed: int = 1000
    pruner: Literal["median", "halving", "none"] = "median"
    startup: int = 5

    def __post_init__(self) -> None:
        for name in ("trials", "images"):
            if getattr(self, name) < 1:
                raise ValueError(f"tune.{name} must be at least 1, got {getattr(self, name)}.")
        if self.measure not in MEASURES:
            raise ValueError(f"tune.measure must be one of {', '.join(MEASURES)}, got {self.measure!r}.")
        read_space(self.space)


def import_optuna() -> ModuleType:
    """optuna, or ImportError with what to do."""
    try:
        import optuna
    except ImportError:
        raise ImportError("tuning needs optuna: pip install 'lightning_inv[tune]'.") from None
    return optuna


def open_study(search: Search, folder: Path, settings: Mapping[str, Any]) -> Any:
    """The study of a folder, begun there if there is none.

    Args:
        search: The search.
        folder: The folder.
        settings: All else that decides the results, as plain data.

    Raises:
        ValueError: The folder holds a search of other settings, or one whose file is damaged.
        OSError: Nothing can be written there.
    """
    optuna = import_optuna()
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {
        "median": optuna.pruners.MedianPruner(n_startup_trials=search.startup),
        "halving": optuna.pruners.SuccessiveHalvingPruner(),
        "none": optuna.pruners.NopPruner(),
    }
    path = folder / "trials.journal"
    journal = TrialJournal(path)
    with _naming(path):
        study = optuna.create_study(
            study_name="tune",
            direction=MEASURES[search.measure],
            storage=optuna.storages.JournalStorage(journal),
            pruner=kinds[search.pruner],
            load_if_exists=True,
        )
        study.sampler = optuna.samplers.TPESampler(seed=search.seed + len(study.trials))
    space = {"space": search.space, "measure": search.measure, "images": search.images, "seed": search.seed}
    told = json.loads(json.dumps({**space, **settings}, default=str))
    held = study.user_attrs.get("settings", told)
    differ = ["version"]  # those that held no digests have a text there
    if isinstance(held, dict):
        differ = sorted(key for key in held.keys() | told.keys() if held.get(key) != told.get(key))
    if differ:
        raise ValueError(
            f"{folder} holds a search of other settings, which differs in: {', '.join(differ)}. "
            "Give --folder another name."
        )
    with _naming(path):
        check_trials(study, read_space(search.space), MEASURES[search.measure], optuna.distributions, path)
    study.set_user_attr("settings", told)
    return study


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Lets what goes wrong because of what a file tells of a search name the file."""
    try:
        yield
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(
            f"{path} holds no search that optuna {import_optuna().__version__} can read "
            f"({type(error).__name__}: {error}): move it away to begin the search anew."
        ) from error


def finished(study: Any) -> list[Any]:
    """The trials that came to an end: completed, pruned, or failed by an error of their own."""
    return [t for t in study.trials if t.state.name in ("COMPLETE", "PRUNED") or "error" in t.user_attrs]


def _try_again(study: Any) -> None:
    """Queues the trials that were interrupted, whether the process could say so or was killed."""
    running = [trial for trial in study.trials if trial.state.name == "RUNNING"]
    failed = [
        trial for trial in study.trials if trial.state.name == "FAIL" and "error" not in trial.user_attrs
    ]
    queued = {trial.user_attrs.get("again") for trial in study.trials}
    for trial in running:
        study.tell(trial.number, state=import_optuna().trial.TrialState.FAIL)
    for trial in (*running, *failed):
        if trial.number not in queued:
            study.enqueue_trial(trial.params, user_attrs={"again": trial.number})


def run_trials(search: Search, study: Any, evaluate: Evaluate) -> None:
    """Runs the trials that are missing; one that was interrupted is tried again.

    Raises:
        ValueError: No trial has completed.
    """
    optuna = import_optuna()
    space = read_space(search.space)
    _try_again(study)

    def objective(trial: Any) -> float:
        values = {path: part.draw(trial, path) for path, part in space.items()}
        scores: list[float] = []
        try:
            for step, chunk in enumerate(evaluate(values)):
                if not all(score is not None and math.isfinite(score) for score in chunk):
                    raise ArithmeticError(f"the {search.measure} of an image is no finite number.")
                scores += chunk
                trial.report(fmean(scores), step)
                if trial.should_prune():
                    raise optuna.TrialPruned
        except (ArithmeticError, RuntimeError, ValueError) as error:
            trial.set_user_attr("error", str(error))
            raise
        trial.set_user_attr("error_of_mean", stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else None)
        return fmean(scores)

    missing = max(search.trials - len(finished(study)), 0)
    study.optimize(objective, n_trials=missing, catch=(ArithmeticError, RuntimeError, ValueError))
    if not any(t.state == optuna.trial.TrialState.COMPLETE for t in study.trials):
        errors = [t.user_attrs["error"] for t in study.trials if "error" in t.user_attrs]
        raise ValueError(f"no trial of {len(study.trials)} was completed. {' '.join(errors[-1:])}".strip())
