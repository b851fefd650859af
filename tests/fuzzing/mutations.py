"""What is done to a valid input: its bytes are changed, or one thing in the tree that it stands for.

Both take a ``random.Random``, so that hypothesis, whose random numbers shrink, can stand in for it.
"""

import copy
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import Any

INTEGERS = (0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63)
NASTY = (
    *(None, True, False, *INTEGERS, -(2**31), -(2**63), 2**64, 10**30, 10**400),
    *(0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", " ", "\0", "a", "é", "\ud800", "..", "/", "../..", ".", "~", "x" * 5000, "1", "nan", "null", "\n"),
    *([], {}, [[]], {"": {}}, [None], [0, 0, 0]),
)
"""Values that a reader may not be prepared for."""
DEEP = (1, 2, 10, 90)
MOST = 2**16
"""The bytes of an input, at most."""

Value = Callable[[], Any]


def changed_bytes(contents: bytes, rng: Random, others: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Contents with a few changes.

    Args:
        contents: The contents.
        rng: Random numbers.
        others: Inputs of which parts are taken.
        words: What is put into it, such as keys.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        change = rng.choice((_flipped, _cut, _repeated, _integer, _digits, _spliced, _word))
        found = bytes(contents)
        start = rng.randrange(len(found) + 1)
        contents = change(found, start, rng, (others, words))
    return contents[:MOST]


Material = tuple[Sequence[bytes], Sequence[bytes]]


def _flipped(found: bytes, start: int, rng: Random, _: Material) -> bytes:
    if start == len(found):
        return found + bytes([rng.randrange(256)])
    flipped = found[start] ^ (1 << rng.randrange(8))
    return found[:start] + bytes([flipped]) + found[start + 1 :]


def _cut(found: bytes, start: int, rng: Random, _: Material) -> bytes:
    length = rng.choice((1, 4, 64, len(found)))
    return found[:start] + found[start + length :]


def _repeated(found: bytes, start: int, rng: Random, _: Material) -> bytes:
    part = found[start : start + rng.choice((1, 4, 16, 256))]
    return found[:start] + part * rng.choice((1, 2, 100)) + found[start:]


def _integer(found: bytes, start: int, rng: Random, _: Material) -> bytes:
    letter, order = rng.choice("BHIQ"), rng.choice("<>")
    value = rng.choice(INTEGERS) % 2 ** (8 * struct.calcsize(letter))
    new = struct.pack(order + letter, value)
    return found[:start] + new + found[start + len(new) :]


def _digits(found: bytes, start: int, rng: Random, _: Material) -> bytes:
    """Another number in place of one that is written in digits."""
    match = re.compile(rb"\d+").search(found, start)
    if not match:
        return found
    return found[: match.start()] + b"%d" % rng.choice(INTEGERS) + found[match.end() :]


def _spliced(found: bytes, start: int, rng: Random, material: Material) -> bytes:
    other = rng.choice(material[0])
    end = rng.randrange(len(other) + 1)
    return (
        found[:start] + other[end : end + rng.choice((8, 64, len(other)))] + rng.choice((b"", found[start:]))
    )


def _word(found: bytes, start: int, rng: Random, material: Material) -> bytes:
    return found[:start] + rng.choice(material[1] or (b"\0",)) + found[start:]


def changed_tree(tree: Any, rng: Random, value: Value) -> Any:
    """A copy of a tree of dicts, lists and plain data with one thing changed.

    Args:
        tree: The tree.
        rng: Random numbers.
        value: Gives what is put in place of something else.
    """
    root = [copy.deepcopy(tree)]
    places = list(_places(root, set()))
    holder, key = rng.choice(places)
    old = holder[key]
    change = rng.choice((_replaced, _replaced, _tweaked, _removed, _added, _moved, _nested, _renamed))
    with suppress(TypeError, ValueError, OverflowError):  # a list as a key, half of an enormous number
        change(holder, key, old, rng, (places, value))
    return root[0] if root else None


def _places(holder: Any, seen: set[int]) -> Iterator[tuple[Any, Any]]:
    """Every place that holds something, below ``holder``."""
    if id(holder) in seen:
        return
    seen.add(id(holder))
    for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
        yield holder, key
        if isinstance(holder[key], dict | list):
            yield from _places(holder[key], seen)


Around = tuple[list[tuple[Any, Any]], Value]


def _replaced(holder: Any, key: Any, old: Any, rng: Random, around: Around) -> None:
    holder[key] = around[1]()


def _tweaked(holder: Any, key: Any, old: Any, rng: Random, around: Around) -> None:
    """Changes a leaf a little, and its type where that is not possible."""
    if isinstance(old, bytes):
        holder[key] = changed_bytes(old, rng, [old], [])
    elif isinstance(old, int | float):
        holder[key] = rng.choice((old + 1, old - 1, -old, old * 2, old * 1000, old / 2, str(old), [old]))
    elif isinstance(old, str):
        text = old.encode("utf-8", "surrogatepass")
        holder[key] = changed_bytes(text, rng, [text], []).decode("utf-8", "replace")
    else:
        holder[key] = rng.choice((str(old)[:MOST], list(old) if old else [], [old], dict.fromkeys("ab", old)))


def _removed(holder: Any, key: Any, old: Any, rng: Random, around: Around) -> None:
    del holder[key]


def _added(holder: Any, key: Any, old: Any, rng: Random, around: Around) -> None:
    if isinstance(holder, list):
        holder[key:key] = [copy.deepcopy(old)] * rng.choice((1, 2, 50))
    else:
        holder[around[1]() if rng.random() < 0.2 else "x"] = around[1]()


def _moved(holder: Any, key: Any, old: Any, rng: Random, around: Around) -> None:
    """Puts something where something else is, too; it may hold itself then."""
    other, there = rng.choice(around[0])
    holder[key] = other[there]


def _nested(holder: Any, key: Any, old: Any, rng: Random, around: Around) -> None:
    name = key if isinstance(key, str) else "x"
    for _ in range(rng.choice(DEEP)):
        old = {name: old} if isinstance(holder, dict) else [old]
    holder[key] = old


def _renamed(holder: Any, key: Any, old: Any, rng: Random, around: Around) -> None:
    if isinstance(holder, dict):
        new = around[1]()
        holder[new if new.__hash__ else str(new)] = holder.pop(key)
    else:
        holder.reverse()
