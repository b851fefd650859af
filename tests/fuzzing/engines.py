"""Where inputs come from: a mutator with random numbers, hypothesis, or atheris, which is led by coverage."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from fuzzing.codecs import CODECS
from fuzzing.mutations import NASTY, Value, changed_bytes, changed_tree
from fuzzing.worker import Worker

SHRINKING = 20.0
"""Seconds that a finding is made smaller for."""


class Mutator:
    """Changes the valid inputs of a target.

    Args:
        target: The target.
    """

    def __init__(self, target: Any) -> None:
        self.seeds = sorted(target.seeds().items())
        self.words = [word.encode() for word in target.words]
        self.values = (*NASTY, *target.words)
        self.trees = {name: _tree(name, contents) for name, contents in self.seeds}

    def changed(self, rng: Random, value: Value | None = None) -> tuple[str, bytes]:
        """A suffix and contents.

        Args:
            rng: Random numbers.
            value: Gives what is put in place of something else; a list of values does if None.
        """
        name, contents = rng.choice(self.seeds)
        suffix = Path(name).suffix
        if self.trees[name] is None or rng.random() < 0.3:
            others = [other for one, other in self.seeds if Path(one).suffix == suffix]
            return suffix, changed_bytes(contents, rng, others, self.words)
        tree = self.trees[name]
        for _ in range(rng.choice((1, 1, 2, 4))):
            tree = changed_tree(tree, rng, value or (lambda: rng.choice(self.values)))
        try:
            return suffix, CODECS[suffix].contents(tree)
        except Exception:  # the tree stands for no file
            return suffix, changed_bytes(contents, rng, [contents], self.words)


def _tree(name: str, contents: bytes) -> Any:
    try:
        return CODECS[Path(name).suffix].tree(contents)
    except Exception:  # some valid inputs, and some kinds, are not made of a tree
        return None


def smaller(contents: bytes, holds: Callable[[bytes], bool], until: float) -> bytes:
    """The contents without the parts that are not needed for ``holds``."""
    size = len(contents) // 2
    while size and time.monotonic() < until:
        start = 0
        while start < len(contents) and time.monotonic() < until:
            less = contents[:start] + contents[start + size :]
            if holds(less):
                contents = less
            else:
                start += size
        size //= 2
    return contents


def at_random(worker: Worker, mutator: Mutator, number: str, until: float) -> None:
    """Inputs from a mutator; those that show a new fault are cut down."""
    rng = Random(number)
    for name, contents in (
        mutator.seeds if number.endswith("-0") else ()
    ):  # another worker may have died of one
        worker.run(Path(name).suffix, contents)
    while time.monotonic() < until:
        suffix, contents = mutator.changed(rng)
        fault = worker.run(suffix, contents)
        if fault and fault not in worker.known:
            worker.known.add(fault)
            end = min(until, time.monotonic() + SHRINKING)
            smaller(contents, lambda less, f=fault, s=suffix: worker.run(s, less) == f, end)


def _values(mutator: Mutator) -> st.SearchStrategy:
    """Plain data of all kinds."""
    leaves = st.one_of(st.sampled_from(mutator.values), st.integers(), st.floats(), st.text(max_size=20))
    return st.recursive(
        leaves,
        lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3),
        max_leaves=5,
    )


class _ShrunkError(BaseException):
    """A finding was made smaller for long enough."""


def by_hypothesis(worker: Worker, mutator: Mutator, number: str, until: float) -> None:
    """Inputs from the same mutator led by hypothesis, which has values of its own and shrinks findings."""
    numbers, values = Random(number), _values(mutator)
    while time.monotonic() < until:
        attack = _attack(worker, mutator, values, until)
        try:
            seed(numbers.getrandbits(64))(attack)()
        except (AssertionError, _ShrunkError, HypothesisException):  # it takes an end for a flaw
            worker.known |= {path.stem for path in worker.findings.glob("*.txt")}


def _attack(worker: Worker, mutator: Mutator, values: st.SearchStrategy, until: float) -> Callable[[], None]:
    """A test of inputs, which fails at a new fault."""
    ends = [until]

    @settings(
        max_examples=200,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
    )
    @given(st.data())
    def attack(data: Any) -> None:
        if time.monotonic() > min(ends):
            raise _ShrunkError
        rng = data.draw(st.randoms(use_true_random=False))
        fault = worker.run(*mutator.changed(rng, lambda: data.draw(values)))
        if fault and fault not in worker.known:
            ends.append(time.monotonic() + SHRINKING)
            raise AssertionError(fault)

    return attack


def by_atheris(worker: Worker, mutator: Mutator, number: str, until: float) -> None:
    """Inputs led by the coverage of our code; the first byte of each tells its suffix. It does not return."""
    import atheris

    suffixes = sorted({Path(name).suffix for name, _ in mutator.seeds})
    corpus = worker.box / "corpus"
    corpus.mkdir(exist_ok=True)
    for name, contents in mutator.seeds:
        (corpus / name).write_bytes(bytes([suffixes.index(Path(name).suffix)]) + contents)

    def attack(data: bytes) -> None:
        if data:
            worker.run(suffixes[data[0] % len(suffixes)], data[1:])

    def change(data: bytes, most: int, number: int) -> bytes:
        rng = Random(number)
        if rng.random() < 0.5:
            return atheris.Mutate(data, most)
        suffix, contents = mutator.changed(rng)
        return (bytes([suffixes.index(suffix)]) + contents)[:most]

    left = max(1, int(until - time.monotonic()))
    options = ["-max_len=65536", f"-max_total_time={left}", f"-seed={Random(number).getrandbits(31)}"]
    quiet = ["-verbosity=0", "-print_final_stats=0", "-rss_limit_mb=0", "-timeout=100000", "-len_control=0"]
    atheris.Setup([sys.argv[0], *options, *quiet, str(corpus)], attack, custom_mutator=change)
    atheris.Fuzz()


ENGINES = {"random": at_random, "hypothesis": by_hypothesis, "atheris": by_atheris}
