"""Merging of configuration files and flags.

Where a later file or flag names another class, jsonargparse keeps those arguments of the old one that the new
one has, too (its issue 460): ``--model.solvers.mine=DDRM`` over RED-diff would take over RED-diff's steps. So
files are merged here, where another class begins anew, and handed over as one.
"""

import difflib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

ATOMIC = frozenset({"problems", "solvers", "terms", "callbacks", "logger"})
"""Keys whose value a later file of the command line replaces as a whole; one that includes it refines it."""
LARGEST, VALUES, DEPTH = 2**20, 100_000, 50
"""The bytes of a configuration, and its values and levels, at most, counting what an alias stands for."""


class UniqueKeys(yaml.SafeLoader):
    """Refuses a key that is given twice, of which the last would count unseen."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node, seen = super().compose_mapping_node(anchor), set()
        for name in (key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if name in seen:
                raise ValueError(f"the key {name!r} is given twice")
            seen.add(name)
        return node


def texts(value: Any) -> Iterator[str]:
    """All texts in a value of settings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts(part)


def read_config(path: str | Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A YAML file of settings; those of the file that its key ``include`` names lie beneath, key by key.

    Where ``model.problems`` names a file for a problem, its measurement and solvers are those of that file.

    Args:
        path: The file.
        above: The files that include it.

    Raises:
        ValueError: The file does not exist, is not YAML, holds something else than keys and values, or
            includes itself.
    """
    named = f"the configuration {path}{f', which {above[-1]} names,' if above else ''}"
    content, here = _parsed(Path(path), named, stream=not above), Path(path).resolve()
    if here in above:
        raise ValueError(f"the configuration {path} includes itself, by way of {above[-1]}.")
    _check_keys(content, path, named)
    if isinstance(model := content.get("model"), dict) and isinstance(model.get("problems"), dict):
        model["problems"] = {
            name: _problem(Path(path).parent / given, (*above, here)) if isinstance(given, str) else given
            for name, given in model["problems"].items()
        }
    beneath = content.pop("include", None)
    if not beneath:
        return content
    if not isinstance(beneath, str):
        raise ValueError(f"include in {path} must name one file, got {beneath!r}.")
    return merge(read_config(Path(path).parent / beneath, (*above, here)), content, atomic=frozenset())


def _check_keys(content: Any, path: str | Path, named: str) -> None:
    """Raises ValueError if there are no keys, one that is not for files, or files that are out of bounds."""
    if not isinstance(content, dict):
        raise ValueError(f"{named} must hold keys and values, got {type(content).__name__}.")
    if "config" in content:  # which would be read unchecked
        raise ValueError(f"config in {path} is no setting; a file names another by include.")
    for name in texts(content):
        if name.endswith((".yaml", ".yml")) and os.path.isfile(name):  # the parser may read it
            _parsed(Path(name), f"the configuration {name}, which {path} names,")


def _parsed(path: Path, named: str, stream: bool = False) -> Any:
    """What a YAML file holds; nothing in it is run, and it is no larger than it looks.

    Args:
        path: The file.
        named: What to call it.
        stream: Whether it may be a pipe, as of a command line, or a device.
    """
    if not stream and os.path.exists(path) and not path.is_file():
        raise ValueError(f"{named} is no regular file.")
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"it has more than {LARGEST} bytes")
        content = yaml.load(text, UniqueKeys)
        check_size(content)
    except OSError as error:
        raise ValueError(f"{named} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:  # a day 32, or too many brackets
        raise ValueError(f"{named} is not YAML: {' '.join(str(error).split())}.") from None
    return content


def check_size(content: Any) -> None:
    """Raises ValueError if there is more than settings need, what an alias stands for included, or a pipe."""
    parts, count = [(content, 0)], 0
    while parts:
        part, depth = parts.pop()
        count += 1
        if count > VALUES or depth > DEPTH:  # short names can stand for very much, or for what they are in
            raise ValueError(f"it has more than {VALUES} values, or {DEPTH} levels")
        if odd := [key for key in (part if isinstance(part, dict) else ()) if not isinstance(key, str)]:
            raise ValueError(f"the key {odd[0]!r} is no text")
        if isinstance(part, str) and _is_pipe(part):  # who reads it would wait for ever
            raise ValueError(f"{part} is a pipe")
        below = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        parts.extend((value, depth + 1) for value in below)


def _is_pipe(text: str) -> bool:
    """Whether a text is the path of a pipe; one that is too long for a path is not."""
    with suppress(OSError):
        return Path(text).is_fifo()
    return False


def _problem(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The measurement and the solvers of a file that is a configuration of one problem."""
    model = read_config(path, above).get("model")
    if not isinstance(model, dict) or not model.get("measurement"):
        raise ValueError(f"{path} is no problem: it has no model.measurement.")
    return {key: model[key] for key in ("measurement", "solvers") if key in model}


def merge(below: Any, above: Any, atomic: frozenset[str] = ATOMIC) -> Any:
    """What lies above wins, key by key; where it names another class, nothing of the old one stays.

    Args:
        below: Settings.
        above: Those that win.
        atomic: Keys whose value is replaced as a whole.
    """
    if isinstance(below, dict) and "class_path" in below and isinstance(above, str):
        above = {"class_path": above}
    if isinstance(below, str) and isinstance(above, dict) and "init_args" in above:
        below = {"class_path": below}
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    if "class_path" in above and not same_class(above["class_path"], below.get("class_path", "")):
        return above
    shared = (key for key in above if key in below and key not in atomic)
    kept = {key: merge(below[key], above[key], atomic) for key in shared}
    return {**below, **above, **kept}


def completed(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    """The settings without what a null leaves out, such as a solver of an included file.

    Raises:
        ValueError: Somewhere there are arguments, but no class that they are for.
    """
    found = {}
    for key, value in tree.items():
        if value is None and above.rpartition(".")[2] in ATOMIC:
            continue
        path = f"{above}.{key}".lstrip(".")
        if isinstance(value, dict):
            if "init_args" in value and "class_path" not in value:
                near = difflib.get_close_matches(str(key), [str(name) for name in tree if name != key], 1)
                hint = f" did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"{path} has init_args, but no class_path.{hint}")
            value = completed(value, path)
        found[key] = value
    return found


def same_class(one: str, other: str) -> bool:
    """Whether two class paths, short or long, name the same class; a short one is of ours or of Lightning."""
    one, other = str(one), str(other)  # a file may hold anything there
    tops = {path.partition(".")[0] if "." in path else "" for path in (one, other)}
    return one.rsplit(".", 1)[-1] == other.rsplit(".", 1)[-1] and (
        len(tops) == 1 or tops <= {"", "lightning_inv", "lightning", "torch"}
    )


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Separates the files of ``--config`` from all other words of a command line."""
    files, rest, words = [], [], iter(words)
    for word in words:
        name, equals, value = word.partition("=")
        if name in ("--config", "-c"):
            files.append(value if equals else next(words, ""))
        else:
            rest.append(word)
    return files, rest


def flags(words: list[str]) -> Iterator[tuple[list[str], str]]:
    """Keys and values of the flags on a command line, ``--a.b=c`` or ``--a.b c``."""
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            follows = words[i + 1] if i + 1 < len(words) and not words[i + 1].startswith("--") else ""
            yield name[2:].split("."), value if equals else follows


def switch_classes(tree: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """The settings without the arguments of classes that flags replace by others."""
    for keys, value in flags(words):
        node = tree
        for key in keys[:-1]:
            node = _child(node, key)
        name = keys[-1]
        holder = node.get("init_args") if name not in node and "class_path" in node else node
        old = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(old, dict) and "class_path" in old:
            is_file = value.endswith((".yaml", ".yml"))
            holder[name] = merge(old, read_config(value) if is_file else yaml.safe_load(value))
    return tree


def _child(node: dict[str, Any], key: str) -> dict[str, Any]:
    """The settings below ``key``, through the arguments of a class if need be; empty if there are none."""
    given = node.get("init_args")
    found = node.get(key) if key in node else given.get(key) if isinstance(given, dict) else None
    return found if isinstance(found, dict) else {}
