"""Recipes: objects that remember how they were built, so that a file can build them again.

A recipe is plain data, ``{"class_path": "package.Class", "init_args": {...}}``, nested where an argument
was itself built from a recipe. Only a recipe travels in a file of weights, never a pickled object.
"""

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

TRUSTED = ("lightning_inv",)
"""Packages whose classes a file may name."""
DEPTH = 20
"""How deep recipes and lists may lie within a recipe."""


class Recorded:
    """Remembers the arguments of its constructor in ``recipe``.

    Arguments are numbers, strings, booleans, None, lists of these, or other recorded objects.
    """

    @functools.cached_property
    def recipe(self) -> dict[str, Any]:
        """Class and arguments; a class without a constructor takes none."""
        return {"class_path": _path(type(self)), "init_args": {}}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _recording(cls.__init__)


def _recording(init: Any) -> Any:
    """The constructor, which first writes its arguments down; of nested calls the outermost does."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapped(self: Recorded, *args: Any, **kwargs: Any) -> None:
        if "recipe" not in self.__dict__:
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            arguments = {name: _plain(value) for name, value in list(bound.arguments.items())[1:]}
            self.__dict__["recipe"] = {"class_path": _path(type(self)), "init_args": arguments}
        init(self, *args, **kwargs)

    return wrapped


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _plain(value: Any) -> Any:
    if isinstance(value, Recorded):
        return value.recipe
    if dataclasses.is_dataclass(value):
        return describe(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, functools.partial):
        made = next((part for part in (value.func, *value.args) if isinstance(part, type)), None)
        return value if made is None else {"class_path": _path(made), "init_args": _plain(value.keywords)}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return _path(value) if isinstance(value, type) else value


def describe(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as plain data, with its class."""
    fields = {field.name: _plain(getattr(settings, field.name)) for field in dataclasses.fields(settings)}
    return {"class_path": _path(type(settings)), "init_args": fields}


def build(
    recipe: dict[str, Any], kinds: tuple[type, ...], packages: Sequence[str] = (), depth: int = DEPTH
) -> Any:
    """Builds the object of a recipe.

    Args:
        recipe: The recipe; it may come from a stranger's file.
        kinds: The classes allowed, at every level of the recipe.
        packages: Packages that are trusted besides ``lightning_inv``. Nothing outside them is imported.
        depth: How deep recipes and lists may lie within it.

    Raises:
        ValueError: The recipe is malformed, names a class outside the trusted packages, or one that is not
            a subclass of ``kinds``, or its arguments do not fit the class.
    """
    if not isinstance(recipe, dict) or set(recipe) != {"class_path", "init_args"}:
        raise ValueError(f"a recipe has the keys class_path and init_args, got {recipe!r}.")
    path, given = str(recipe["class_path"]), recipe["init_args"]
    found = _trusted_class(path, kinds, packages)
    if not isinstance(given, dict):
        raise ValueError(f"init_args of {path!r} must have names, got {given!r}.")
    arguments = {name: _part(value, kinds, packages, depth - 1) for name, value in given.items()}
    _check_parts(found, arguments)
    if found.__module__.split(".")[0] in TRUSTED:  # others may annotate as they like
        _check_types(found, arguments)
    try:
        return found(**arguments)
    except Exception as error:  # a constructor may fail in any way on a stranger's arguments
        raise ValueError(f"{path!r} cannot be built from {sorted(arguments)}: {error}") from None


def _trusted_class(path: str, kinds: tuple[type, ...], packages: Sequence[str]) -> type:
    """The class of that path; nothing is imported unless its package is trusted."""
    if path.split(".")[0] not in (*TRUSTED, *packages):
        raise ValueError(f"class {path!r} is outside the trusted packages {[*TRUSTED, *packages]}.")
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # a module may fail in any way
        raise ValueError(f"class {path!r} cannot be imported: {error}.") from None
    if not (isinstance(found, type) and issubclass(found, kinds)):
        raise ValueError(f"{path!r} is not a {' or '.join(kind.__name__ for kind in kinds)}.")
    return found


def _part(value: Any, kinds: tuple[type, ...], packages: Sequence[str], depth: int) -> Any:
    """An argument, built if it is a recipe or a list with recipes in it."""
    if not isinstance(value, list | dict):
        return value
    if depth < 0:
        raise ValueError(f"recipes and lists lie more than {DEPTH} deep in it.")
    if isinstance(value, list):
        return [_part(item, kinds, packages, depth - 1) for item in value]
    return build(value, kinds, packages, depth)


def _check_types(found: type, arguments: dict[str, Any]) -> None:
    """Raises ValueError where a constructor asks for numbers and is given text, and the like."""
    for name, parameter in inspect.signature(found).parameters.items():
        if name in arguments and not _fits(arguments[name], parameter.annotation):
            raise ValueError(
                f"argument {name!r} of {_path(found)!r} must be of type "
                f"{inspect.formatannotation(parameter.annotation)}, got {arguments[name]!r}."
            )


def _fits(value: Any, annotation: Any) -> bool:
    """Whether plain data or an object is what an annotation asks for."""
    choices = get_args(annotation)
    if annotation in (Any, inspect.Parameter.empty):
        return True
    if isinstance(annotation, UnionType):
        return any(_fits(value, choice) for choice in choices)
    if get_origin(annotation) in (Sequence, list):
        return isinstance(value, list) and all(_fits(item, choices[0]) for item in value)
    return isinstance(value, int | float if annotation is float else annotation)


def _check_parts(found: type, arguments: dict[str, Any]) -> None:
    """Raises ValueError where a constructor asks for one kind of part and is given another."""
    for name, parameter in inspect.signature(found).parameters.items():
        choices = get_args(parameter.annotation) or (parameter.annotation,)
        classes = [c for c in choices if inspect.isclass(c) and get_origin(c) is None]
        asked = tuple(c for c in classes if issubclass(c, Recorded))
        if asked and not isinstance(arguments.get(name), (*asked, NoneType, list)):
            raise ValueError(
                f"argument {name!r} of {_path(found)!r} must be a "
                f"{' or '.join(c.__name__ for c in asked)}, got {type(arguments[name]).__name__}."
            )
