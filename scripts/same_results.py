"""Compares what two ways of running the same commands have made, and fails where they differ by too much.

    python scripts/same_results.py ONE OTHER

Both folders hold a training in ``prior``, with the losses in ``metrics.csv``, and a restoration in
``results``.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

TOLERANCE = 1e-4
"""What losses, weights and measures may differ by."""
VARIES = ("seconds", "peak_memory")
"""Measures that differ from run to run."""


def main() -> None:
    """Prints the differences."""
    one, other = map(Path, sys.argv[1:])
    told = [
        ("training, loss at each step", losses(one), losses(other), TOLERANCE),
        ("training, weights of the prior", weights(one), weights(other), TOLERANCE),
        ("restoration, measures of each image", measures(one), measures(other), TOLERANCE),
        ("restoration, records of images", records(one), records(other), 0.0),
        ("restoration, grey levels of pictures", pixels(one), pixels(other), 1.0),
    ]
    failed = False
    for what, a, b, tolerance in told:
        if not len(a) or a.shape != b.shape:
            raise SystemExit(f"{what}: {a.shape} and {b.shape} cannot be compared.")
        apart = np.abs(a - b).max()
        failed |= not apart <= tolerance
        print(f"{what}: {a.size} numbers, the largest difference {apart:.2g} (at most {tolerance:g})")
    if failed:
        raise SystemExit("they differ by too much")


def losses(folder: Path) -> np.ndarray:
    """The loss at each step."""
    with (folder / "prior" / "metrics.csv").open() as file:
        return np.array([float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]])


def weights(folder: Path) -> np.ndarray:
    """All weights of the prior."""
    held = load_file(folder / "prior" / "prior.safetensors")
    return np.concatenate([held[name].ravel().astype(np.float64) for name in sorted(held)])


def measures(folder: Path) -> np.ndarray:
    """The measures of each image and solver."""
    with (folder / "results" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    kept = [key for key in rows[0] if key not in ("name", "solver", *VARIES) and rows[0][key]]
    return np.array([[float(row[key]) for key in kept] for row in rows])


def records(folder: Path) -> np.ndarray:
    """The images that there are records of, each as often as it was restored."""
    files = sorted((folder / "results" / "records").iterdir())
    return np.sort([json.loads(line)["index"] for file in files for line in file.read_text().splitlines()])


def pixels(folder: Path) -> np.ndarray:
    """All pictures of images, in order."""
    files = sorted((folder / "results").rglob("*.png"))
    return np.array(
        [np.asarray(Image.open(file), np.float64) for file in files if file.parent.name != "grids"]
    )


if __name__ == "__main__":
    main()
