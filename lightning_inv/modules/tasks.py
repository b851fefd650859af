"""The problems of a run, and which solvers serve each."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.solvers import Solver

RESERVED = frozenset({"truth", "measurement", "grids", "records", "tallies", "shards", "checkpoints"})
"""Names of folders of a run that no solver or problem may have."""
LONGEST = 247
"""The bytes of a name, at most: with "_samples" the 255 of common file systems."""


@dataclass(frozen=True)
class Task:
    """A problem of a comparison.

    Args:
        measurement: How images are measured.
        solvers: Solvers of this problem alone; one that has the name of a solver of all problems replaces it.
    """

    measurement: Measurement
    solvers: dict[str, Solver] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What a run does for one problem.

    Args:
        measurement: How images are measured; None if nothing is seen of them.
        solvers: The solvers that can deal with it.
        refused: Why each of the others cannot.
    """

    measurement: Measurement | None
    solvers: dict[str, Solver]
    refused: dict[str, str] = field(default_factory=dict)


def check_name(name: str, what: str) -> None:
    """Raises ValueError unless the name can be that of a folder."""
    if not name.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"the name of a {what} is made of letters, digits, - and _; got {name!r}.")
    if (length := len(name.encode())) > LONGEST:
        raise ValueError(f"the name of a {what} has {LONGEST} bytes at most, got {length}: {name!r}.")
    if name in RESERVED or (what == "solver" and name.endswith(("_std", "_samples"))):
        raise ValueError(f"{name!r} is the name of a folder of a run; give the {what} another one.")


def check_names(solvers: Mapping[str, Solver]) -> None:
    """Raises ValueError unless each name can be that of a folder beside the other results."""
    for name in solvers:
        check_name(name, "solver")


@contextmanager
def told_of(problem: str) -> Iterator[None]:
    """Errors within name the problem, unless it is the only one, which has no name."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if not problem:
            raise
        raise type(error)(f"problem {problem!r}: {error}") from None


def only_work(
    prior: Denoiser, solvers: dict[str, Solver], measurement: Measurement | None
) -> dict[str, Work]:
    """The work of a run with one problem, which has no name; every solver must serve it.

    Raises:
        ValueError: A setting is out of its range.
        TypeError: A solver cannot deal with the operator.
    """
    check_names(solvers)
    if not solvers:
        raise ValueError("model.solvers must name at least one solver.")
    if measurement is not None and not prior.any_size:
        measurement.check(prior.shape)
    for solver in solvers.values():
        solver.check(prior, measurement)
    return {"": Work(measurement, solvers)}


def all_work(prior: Denoiser, solvers: dict[str, Solver], problems: dict[str, Task]) -> dict[str, Work]:
    """The work of a comparison; a solver that cannot deal with a problem is left out there.

    Raises:
        ValueError: A setting is out of its range, or there is no problem.
        TypeError: No solver can deal with one of the problems.
    """
    if not problems:
        raise ValueError("model.problems must name at least one problem.")
    found = {}
    for name, task in problems.items():
        check_name(name, "problem")
        with told_of(name):
            found[name] = _work(prior, solvers | task.solvers, task.measurement)
    return found


def _work(prior: Denoiser, solvers: dict[str, Solver], measurement: Measurement) -> Work:
    check_names(solvers)
    if not prior.any_size:
        measurement.check(prior.shape)
    able, refused = {}, {}
    for name, solver in solvers.items():
        try:
            solver.check(prior, measurement)
            able[name] = solver
        except TypeError as error:
            refused[name] = str(error)
    if not able:
        raise TypeError(f"no solver serves it. {' '.join(refused.values())}".strip())
    return Work(measurement, able, refused)
