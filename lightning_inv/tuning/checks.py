"""What the file of a search may tell of trials: what this search could have found, and nothing else."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_inv.tuning.space import Choices, Range

ATTRIBUTES = {"again": int, "error": str, "error_of_mean": float | None}
"""What a search notes of its trials."""


class Distributions:
    """In place of a trial, gives the distributions that it would propose values of.

    Args:
        kinds: optuna's module of distributions.
    """

    def __init__(self, kinds: Any) -> None:
        self.kinds = kinds

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> Any:
        return self.kinds.IntDistribution(low, high, log=log)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> Any:
        return self.kinds.FloatDistribution(low, high, log=log)

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        return self.kinds.CategoricalDistribution(choices)


def check_trials(
    study: Any, space: Mapping[str, Range | Choices], direction: str, kinds: Any, path: Path
) -> None:
    """Finds trials that are not of a search: its file may come from a stranger.

    Args:
        study: The trials, as they were read.
        space: What the search varies.
        direction: Whether more or less is better, as optuna calls it.
        kinds: optuna's module of distributions.
        path: The file, which errors name.

    Raises:
        ValueError: There are such.
    """
    told = [found.name.lower() for found in study.directions]
    if told != [direction]:
        raise ValueError(f"{path} holds no search of this measure: it would {told}, expected {direction}.")
    expected = {name: part.draw(Distributions(kinds), name) for name, part in space.items()}
    for trial in study.trials:
        if fault := _fault_of_values(trial) or _fault_of_settings(trial, expected, kinds):
            raise ValueError(f"{path} holds no search of tune.space: trial {trial.number} {fault}.")


def _fault_of_values(trial: Any) -> str:
    values = trial.values or []
    if trial.state.name == "COMPLETE" and len(values) != 1:
        return f"must have one value, got {values}"
    for value in (*values, *trial.intermediate_values.values()):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f"must have finite numbers as values, got {value!r}"
    for name, kind in ATTRIBUTES.items():
        if name in trial.user_attrs and not isinstance(trial.user_attrs[name], kind):
            return f"must not have {trial.user_attrs[name]!r} as {name}"
    return "has constraints" if "constraints" in trial.system_attrs else ""


def _fault_of_settings(trial: Any, expected: Mapping[str, Any], kinds: Any) -> str:
    fixed = trial.system_attrs.get("fixed_params", {})
    settings = {**fixed, **trial.params}
    if others := settings.keys() - expected.keys():
        return f"varies {min(others)!r}"
    if lacking := expected.keys() - settings.keys() if trial.state.name == "COMPLETE" else ():
        return f"lacks {min(lacking)!r}"
    for name, found in trial.distributions.items():
        if kinds.distribution_to_json(found) != kinds.distribution_to_json(expected[name]):
            return f"draws {name!r} from {found}"
    outside = [
        name for name, value in (*fixed.items(), *trial.params.items()) if not _fits(value, expected[name])
    ]
    return f"has {settings[outside[0]]!r} as {outside[0]!r}" if outside else ""


def _fits(value: Any, distribution: Any) -> bool:
    """Whether a distribution could have given a value."""
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (ArithmeticError, TypeError, ValueError):
        return False
