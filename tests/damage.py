"""Faults of files, and what a reader may make of them."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Ends what takes longer, which might never end, with a TimeoutError."""

    def end(*_: Any) -> None:
        raise TimeoutError(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def flipped(path: Path, count: int) -> Iterator[int]:
    """Flips one bit of a file at a time, at so many places, evenly; tells the byte, and puts it back."""
    content, end = path.read_bytes(), 8 * path.stat().st_size
    for k in range(count):
        at, bit = divmod(k * (end - 1) // (count - 1), 8)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        yield at
    path.write_bytes(content)


def read_or_refused(read: Callable[[Path], Any], path: Path) -> Any:
    """What is read, or None if the answer is one sentence that names the file."""
    try:
        return read(path)
    except ValueError as error:
        said = str(error)
    assert str(path) in said
    assert "\n" not in said
    return None


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
