"""What is wrong, in one sentence: with an argument, as jsonargparse tells it, or with a disk."""

import difflib
import errno
import inspect
import re
import sys
from typing import Any, get_args

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system answers where there is no more room to write."""
NOISE = (
    "Does not validate against any",
    "Subtypes: ",
    "Errors:",
    "Given value",
    "Expected a path but ",
    "Expected a <class 'NoneType'>",
)

FILE = "cannot be changed by flags: write a YAML file that includes the other one."


def sentence(error: Exception, folder: str) -> str:
    """What an error says; of a full disk, where it is full.

    Args:
        error: The error.
        folder: The folder of the run.
    """
    # TensorBoardLogger takes any error for a wrong value.
    full = error if isinstance(error, OSError) else error.__cause__
    if getattr(full, "errno", None) in FULL and full.filename is None:
        return f"{full.strerror}: a file in {folder} could not be written."
    return str(error)


def shown(text: str) -> str:
    """A text in which what would speak to the terminal, in the name of a file for one, is written out."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def explain(message: str, hints: dict[str, Any]) -> str:
    """The message without its way through the types, and with the names that would do.

    Args:
        message: What jsonargparse said.
        hints: The annotation of each argument of the command line.
    """
    parts, hint = [], None
    for line in message.splitlines():
        text = line.strip().removeprefix("- ")
        if match := re.match(r'Parser key "(.+?)"(?: element \d+)?:', text):
            hint = hints.get(match[1])
            parts.append(f"{match[1]}:{text[match.end() :]}")
        elif match := re.fullmatch(r"Problem with given class_path '(.+)':", text):
            hints = arguments(match[1])
            parts.append(f"{match[1].rpartition('.')[2]}:")
        elif match := re.fullmatch(r"Expected a dot import path string: (.+)", text):
            parts.append(f"there is no class {match[1]!r}; known: {', '.join(sorted(classes(hint)))}.")
        elif match := re.fullmatch(r"Importing '(.+?)' is not allowed.*", text):
            package = match[1].partition(".")[0]
            trusted = (
                "" if package in sys.stdlib_module_names else f"; if you trust it, --packages [{package}]"
            )
            parts.append(f"a file may not name {match[1]!r}{trusted}.")
        elif match := re.fullmatch(r"Option '(.+)' is not accepted", text):
            near = difflib.get_close_matches(match[1], hints, 1)
            parts.append(f"there is no {match[1]!r}" + (f", did you mean {near[0]!r}?" if near else "."))
        elif text and not text.startswith(NOISE):
            parts.append(
                re.sub(r"Expected an? <class '(.+?)'>\. Got value: (.+)", r"expected \1, got \2.", text)
            )
    parts = [
        re.sub(r"Importing ('.+?') is not allowed, .*? to allow it\.", r"a file may not name \1", part)
        for part in parts
    ]
    return re.sub(r"\b(terms|solvers): expected dict, got Namespace.*", rf"\1 {FILE}", " ".join(parts))


def arguments(class_path: str) -> dict[str, Any]:
    """The annotations of the constructor of a class; none unless its module is imported already."""
    module, _, name = class_path.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    parameters = inspect.signature(found).parameters if callable(found) else {}
    return {name: parameter.annotation for name, parameter in parameters.items()}


def classes(hint: Any) -> set[str]:
    """The names of all classes that an annotation allows and that can be built."""
    if not inspect.isclass(hint) or get_args(hint):
        return set().union(*(classes(part) for part in get_args(hint)))
    if hint.__module__ == "builtins":
        return set()
    below = set().union(*(classes(kind) for kind in hint.__subclasses__()))
    return below if inspect.isabstract(hint) or hint.__name__[0] == "_" else below | {hint.__name__}
