"""Settings that are numbers: what is none is refused by every class that a configuration can name."""

import inspect
import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest
from helpers import tiny_prior

from lightning_inv import constraints, noise_models, operators, schedules, solvers
from lightning_inv.constraints import Measurement, Symmetry
from lightning_inv.operators import JPEG, Inpainting, RandomMask

pytestmark = pytest.mark.faults

FAMILIES: tuple[ModuleType, ...] = (operators, solvers, constraints, noise_models, schedules)
NEEDED: dict[str, Any] = {"matrix": [[1.0]], "constraint": Symmetry()}
"""Arguments that have no default; all others are 1."""
LIMITS = {
    ("Clipping", "high"),  # nothing is too bright
    ("Oscillating", "share"),  # no swing
    ("Oscillating", "period"),  # no turn
    ("Oscillating", "line"),  # no line beneath
    ("Turns", "share"),  # no step is cut
}
"""Settings of which infinity means something."""


def settings() -> Iterator[tuple[type, str]]:
    """Each class that can be made and each of its settings that is a number."""
    for family in FAMILIES:
        own = (found for _, found in inspect.getmembers(family, inspect.isclass))
        for kind in (kind for kind in own if kind.__module__.startswith(family.__name__)):
            hints = {} if inspect.isabstract(kind) else get_type_hints(kind.__init__)
            yield from ((kind, name) for name, hint in hints.items() if float in (hint, *get_args(hint)))


def make(kind: type, name: str, value: float) -> None:
    """Makes an object with this setting, and checks it as a run does before any work."""
    told = inspect.signature(kind).parameters.values()
    needed = {p.name: NEEDED.get(p.name, 1) for p in told if p.default is p.empty}
    made: Any = kind(**{**needed, name: value})
    checks: dict[type, Callable[[], Any]] = {
        solvers.Solver: lambda: made.check(tiny_prior(), measured(kind)),
        solvers.TimePlan: lambda: made.times(5, 1000),
        operators.Operator: lambda: made.check((1, 8, 8)),
        operators.Mask: lambda: made.check((1, 8, 8), ["a"]),
        operators.PointSpread: lambda: made.check(),
        operators.Kernel: lambda: made.taps(),
        noise_models.Noise: lambda: made.check(),
    }
    for family, check in checks.items():
        if isinstance(made, family):
            check()


def measured(kind: type) -> Measurement:
    return Measurement(JPEG() if kind is solvers.DDRMJPEG else Inpainting(RandomMask()), 0.1)


ALL = list(settings())


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(("kind", "name"), ALL, ids=[f"{kind.__name__}.{name}" for kind, name in ALL])
def test_a_setting_that_is_no_number_is_refused_by_name(kind: type, name: str, value: float) -> None:
    if value == math.inf and (kind.__name__, name) in LIMITS:
        make(kind, name, value)
    else:
        with pytest.raises(ValueError, match=name):
            make(kind, name, value)


def test_every_family_has_such_settings() -> None:
    assert {kind.__module__.split(".")[1] for kind, _ in ALL} == {f.__name__.split(".")[1] for f in FAMILIES}
