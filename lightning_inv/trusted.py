"""Which classes a configuration may name.

A configuration may come from a stranger. Nothing outside the packages below is imported for it, unless the
command line names its package. What a prior's file may name is narrower still, see ``recipes``.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import set_parsing_settings

from lightning_inv.configuration import flags

PACKAGES = (
    "lightning_inv",
    "lightning.pytorch",
    "lightning.fabric",
    "torch.nn",
    "torch.optim",
    "torchvision",
    "torchmetrics",
    "deepinv",
)
"""Packages whose classes any configuration may name."""


def trust(packages: Iterable[str]) -> None:
    """Lets configurations of this process name classes of these packages, too, and of no others."""
    set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=[*PACKAGES, *packages],
        instantiate_subclass_spec_in_any=False,
    )


def packages_of(words: list[str]) -> list[str]:
    """The packages that a command line names, by ``--packages`` and in the paths of classes.

    Args:
        words: The words of the command line, without those of ``--config``.
    """
    found: dict[str, None] = {}
    for keys, text in flags(words):
        value = _read(text)
        if keys == ["packages"]:
            value = [f"{name}." for name in (value if isinstance(value, list) else [value])]
        found |= dict.fromkeys(name.partition(".")[0] for name in _texts(value) if _may_be_class(name))
    return [name for name in found if name.isidentifier()]


def _may_be_class(name: str) -> bool:
    """Whether a text may be the path of a class, and is none of a file."""
    return "." in name and not Path(name).exists()


def _read(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value of a flag."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
