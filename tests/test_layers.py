"""Modules import only from layers below their own, and Lightning appears in the top ones alone."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lightning_inv"
LAYERS = [
    {"regular", "traces"},
    {"opening"},
    {"arrays", "configuration", "files", "fingerprints", "limits", "linalg", "locks", "memory", "messages"}
    | {"moments", "noise", "out_of_memory", "recipes", "settings"},
    {"schedules", "networks", "metrics", "perceptual", "posterior_metrics", "noise_models", "frozen"},
    {"denoisers", "operators"},
    {"constraints", "priors"},
    {"solvers", "posteriors"},
    {"data"},
    {"modules"},
    {"callbacks"},
    {"launchers", "trusted"},
    {"command_line", "tuning"},
    {"folders"},
    {"folder_defaults"},
    {"cli", "check", "capabilities"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    here = place(path)
    for name in imports(path):
        there = name.removeprefix("lightning_inv.").split(".")[0]
        if name.startswith("lightning_inv.") and there != here:
            assert LEVEL[there] < LEVEL[here], f"{here} must not import {there}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_lightning_stays_in_the_top_layers(path: Path) -> None:
    if LEVEL[place(path)] < LEVEL["data"]:
        assert not {name for name in imports(path) if name.split(".")[0] in ("lightning", "jsonargparse")}


WRITTEN = [
    *FILES,
    *(file for folder in ("tests", "benchmarks") for file in (PACKAGE.parent / folder).glob("*.py")),
]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_no_file_is_too_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_device_is_named(path: Path) -> None:
    assert "cuda" not in path.read_text()
