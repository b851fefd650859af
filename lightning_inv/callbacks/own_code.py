"""The code of classes that are of no package whose version is held: changed, it makes other results."""

import hashlib
import inspect
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

PACKAGES = frozenset({"lightning_inv", "lightning", "torch", "deepinv", *sys.stdlib_module_names})
"""Packages whose code is not looked at: Python's own, and those whose classes any configuration may name."""
DEEPEST = 20
"""The dots of an import path, at most; a text from a stranger may have any number."""


def code_digests(paths: Iterable[str]) -> dict[str, str]:
    """A hash of the source of each class, together with the classes that it inherits from.

    Classes of ``PACKAGES`` have none, nor have those without a source. Functions that a class calls, other
    than its own, are not looked at.

    Args:
        paths: Texts, some of which are import paths of classes that were imported already.
    """
    found = {}
    for path in paths:
        if inspect.isclass(kind := _imported(path)) and (source := "".join(map(_source, kind.__mro__))):
            found[f"the code of {path}"] = hashlib.sha256(source.encode()).hexdigest()
    return found


def _imported(path: str) -> Any:
    """What a path names, if it was imported; nothing is imported, nor called, to find out."""
    module, _, name = path.rpartition(".")
    if not module or path.count(".") > DEEPEST:
        return None
    return getattr(sys.modules.get(module) or _imported(module), "__dict__", {}).get(name)


def _source(kind: type) -> str:
    """The source of a class; nothing for one of ``PACKAGES``."""
    if kind.__module__.partition(".")[0] not in PACKAGES:
        with suppress(OSError, SyntaxError, TypeError):
            return inspect.getsource(kind)
    return ""
