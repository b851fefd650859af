"""Which classes a configuration may name.

A configuration may come from a stranger. Nothing outside the packages below is imported for it, and nothing
that is no class is called, unless the command line vouches for its package. What a prior's file may name is
narrower still, see ``recipes``.
"""

import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import yaml
from jsonargparse import Namespace, get_loader, set_loader, set_parsing_settings

from lightning_inv.configuration import LARGEST, check_size, flags, texts

PACKAGES = (
    "lightning_inv",
    *(f"lightning.pytorch.{part}" for part in ("callbacks", "loggers", "plugins", "profilers", "strategies")),
    *(f"lightning.fabric.{part}" for part in ("loggers", "plugins", "strategies")),
    "lightning.pytorch.cli.ReduceLROnPlateau",
    "torch.nn",
    "torch.optim",
    "deepinv.physics",
)
"""Packages whose classes any configuration may name."""
WORDS = frozenset({"folder", "ckpt_path", "path", "root", "truth", "start_from"})
"""Keys whose value is a path of files, though it look like one of a class."""


def trust(paths: Iterable[str]) -> None:
    """Lets configurations name classes below these import paths, too, from now on in this process."""
    trusted, packages = list(paths), list(filter(_is_installed, PACKAGES))
    set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=[*packages, *trusted],
        instantiate_subclass_spec_in_any=False,
    )

    def load(text: str) -> Any:
        """What a file is that settings name, or a value."""
        if len(text) > LARGEST:
            raise ValueError(f"a file of settings has more than {LARGEST} bytes.")
        content = get_loader("yaml")(text)
        check_size(content)
        _check_functions(content, packages, trusted)
        return content

    set_loader("omegaconf+", load, (yaml.YAMLError,))


def _is_installed(package: str) -> bool:
    """Whether a package is not in the folder where the process is, in which a stranger may have put it."""
    top = package.partition(".")[0]
    spec = None if top in sys.modules else find_spec(top)
    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    return all(Path(place).resolve().parent != Path.cwd() for place in places if place)


def trusted_by(words: list[str]) -> list[str]:
    """The import paths that a command line vouches for: ``--packages``, and those of classes in flags.

    For a class the package that it is in is vouched for; the class alone, if that is a package of Python's
    own or of ours.

    Args:
        words: The words of the command line, without those of ``--config``.
    """
    found: dict[str, None] = {}
    for keys, text in flags(words):
        value = _read(text)
        if keys == ["packages"]:
            found |= dict.fromkeys(map(str, value if isinstance(value, list) else [value]))
        elif keys[-1] not in WORDS:
            found |= dict.fromkeys(_package(name) for name in texts(value) if _may_be_class(name))
    return [path for path in found if all(part.isidentifier() for part in path.split("."))]


def check_packages(told: Any, trusted: Iterable[str]) -> None:
    """Raises ValueError where files say that packages be trusted which the command line does not name."""
    told = told if isinstance(told, list) else [told]
    if others := [str(name) for name in told if name is not None and name not in trusted]:
        raise ValueError(
            f"files cannot vouch for packages; name them yourself: --packages [{','.join(others)}]."
        )


def check_classes(config: Any, trusted: Sequence[str]) -> None:
    """Raises ValueError if settings call a function that nobody vouches for: it could do anything.

    So could a package, which a class that they name may be told to trust.

    Args:
        config: The settings, of which all that they name is imported.
        trusted: The import paths that are vouched for.
    """
    if isinstance(config, list | tuple):
        for part in config:
            check_classes(part, trusted)
    if not isinstance(config, Namespace | Mapping):
        return
    parts = vars(config) if isinstance(config, Namespace) else config
    check_packages(parts.get("packages"), trusted)
    path = parts.get("class_path")
    if isinstance(path, str) and not inspect.isclass(_imported(path)) and not _is_below(path, trusted):
        raise ValueError(f"{path!r} is no class, and a file may not name functions to call.")
    for part in parts.values():
        check_classes(part, trusted)


def _check_functions(content: Any, packages: Iterable[str], trusted: Iterable[str]) -> None:
    """Raises ValueError if a value is the path of a function, which a class may call that takes one."""
    for path in texts(content):
        if "." in path and _is_below(path, packages) and not _is_below(path, trusted):
            with suppress(ImportError, AttributeError, ValueError):  # it is the path of nothing
                module, _, name = path.rpartition(".")
                found = getattr(resolve_name(module), name)  # which may have the name of a module in it
                if callable(found) and not inspect.isclass(found):
                    break
    else:
        return
    raise ValueError(f"{path!r} is no class, and a file may not name functions to call.")


def _imported(path: str) -> Any:
    """What jsonargparse has imported of this path, if anything."""
    module, _, name = path.rpartition(".")
    if module in sys.modules:
        return getattr(sys.modules[module], name, None)
    return getattr(_imported(module), name, None) if module else None


def _is_below(path: str, others: Iterable[str]) -> bool:
    return any(f"{path}.".startswith(f"{other}.") for other in others)


def _package(name: str) -> str:
    """What is vouched for with the path of a class."""
    top = name.partition(".")[0]
    known = {package.partition(".")[0] for package in PACKAGES} | sys.stdlib_module_names
    return name if top in known else top


def _may_be_class(name: str) -> bool:
    """Whether a text may be the path of a class, and is none of a file."""
    return "." in name and not Path(name).exists()


def _read(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
