"""What a search may vary: settings by their paths, each with a range or a list of choices."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

PLAIN = (bool, int, float, str, type(None))


class Trial(Protocol):
    """The part of a trial of optuna that proposes values."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int: ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float: ...

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any: ...


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones if both are.

    Args:
        low: The least.
        high: The largest.
        log: Whether factors count, rather than differences.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        for bound in (self.low, self.high):
            if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
                raise ValueError(f"the bounds of a range must be numbers, got {bound!r}.")
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"a range needs low < high, and low > 0 if log, got {self.low} and {self.high}.")

    @property
    def first(self) -> float:
        """A value to try the path with."""
        return self.low

    def draw(self, trial: Trial, path: str) -> float:
        """The value that a trial proposes."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        suggest = trial.suggest_int if whole else trial.suggest_float
        return suggest(path, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choices:
    """One of several plain values.

    Args:
        choices: The values: numbers, texts, true, false or null.
    """

    choices: list[Any]

    def __post_init__(self) -> None:
        if not isinstance(self.choices, list) or not self.choices:
            raise ValueError(f"choices must be a list of at least one value, got {self.choices!r}.")
        if not all(isinstance(choice, PLAIN) for choice in self.choices):
            raise ValueError(f"choices must be numbers, texts, true, false or null, got {self.choices!r}.")

    @property
    def first(self) -> Any:
        """A value to try the path with."""
        return self.choices[0]

    def draw(self, trial: Trial, path: str) -> Any:
        """The value that a trial proposes."""
        return trial.suggest_categorical(path, self.choices)


def read_space(space: Mapping[str, Mapping[str, Any]]) -> dict[str, Range | Choices]:
    """The ranges and choices of a configuration, by the paths of settings.

    Raises:
        ValueError: There are none, or one is neither ``{low, high, log}`` nor ``{choices}``.
    """
    if not space:
        raise ValueError("tune.space must name at least one setting.")
    found = {}
    for path, given in space.items():
        try:
            found[path] = (Choices if "choices" in given else Range)(**given)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"tune.space.{path} must be {{low, high, log}} or {{choices}}, got {dict(given)}: {error}"
            ) from None
    return found


def with_setting(settings: Any, path: str, value: Any) -> Any:
    """The settings, a dataclass, with another value at a path such as ``plan.init_args.high``.

    Raises:
        ValueError: There is no such setting.
    """
    name, _, rest = path.partition(".")
    if name == "init_args":
        return with_setting(settings, rest, value)
    known = [field.name for field in dataclasses.fields(settings) if field.init]
    if name not in known:
        raise ValueError(f"{type(settings).__name__} has the settings {', '.join(known)}; got {name!r}.")
    if not rest:
        return dataclasses.replace(settings, **{name: value})
    part = getattr(settings, name)
    if not dataclasses.is_dataclass(part):
        raise ValueError(f"{type(settings).__name__}.{name} has no settings of its own, got {path!r}.")
    return dataclasses.replace(settings, **{name: with_setting(part, rest, value)})


def with_settings(settings: Any, values: Mapping[str, Any]) -> Any:
    """The settings with other values at several paths."""
    for path, value in values.items():
        settings = with_setting(settings, path, value)
    return settings
