"""Short restorations of digits by the command line."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from lightning_inv.callbacks.manifest import Manifest

ROOT = Path(__file__).parents[1]
SOLVERS = {"reddiff": 10, "ddrm": 5, "plug_and_play": 10}


def arguments(prior: Path, folder: Path, *more: str) -> list[str]:
    return [
        f"--model.prior={prior}",
        f"--folder={folder}",
        "--data=Digits",
        "--data.limit=5",
        "--trainer.accelerator=cpu",
        "--trainer.logger=false",
        "--trainer.enable_progress_bar=false",
        *(f"--model.solvers.{name}.steps={steps}" for name, steps in SOLVERS.items()),
        *more,
    ]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def comparable(folder: Path) -> list[dict[str, str]]:
    """The rows without what differs from run to run."""
    varies = ("seconds", "peak_memory")
    return [{key: value for key, value in row.items() if key not in varies} for row in rows(folder)]


def recorded(folder: Path) -> dict[int, dict]:
    """The records of a folder; what was computed anew has other seconds."""
    return {record["index"]: record for record in Manifest(folder).each(range(1000))}


def lines(folder: Path) -> list[str]:
    """All lines of the files of records."""
    return [line for path in (folder / "records").glob("*.jsonl") for line in path.read_text().splitlines()]


def forget(folder: Path, index: int) -> None:
    """Removes the record of an image."""
    for path in (folder / "records").glob("*.jsonl"):
        kept = [line for line in path.read_text().splitlines(True) if json.loads(line)["index"] != index]
        path.write_text("".join(kept))


def pixels(folder: Path, solver: str) -> Tensor:
    files = sorted((folder / solver).glob("*.png"))
    return torch.stack([torch.tensor(list(Image.open(file).tobytes())) for file in files])


def assert_same_rows(one: Path, other: Path) -> None:
    for a, b in zip(comparable(one), comparable(other), strict=True):
        for key in a:
            if key in ("index", "name", "solver", "failed"):
                assert a[key] == b[key]
            else:
                assert float(a[key]) == pytest.approx(float(b[key]), abs=1e-4)


def assert_same(one: Path, other: Path) -> None:
    assert_same_rows(one, other)
    for solver in SOLVERS:
        assert (pixels(one, solver) - pixels(other, solver)).abs().max() <= 1  # a rounded grey level
