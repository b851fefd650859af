"""Short comparisons of solvers on digits by the command line."""

import csv
import re
from pathlib import Path

import yaml

DDRM = {"class_path": "DDRM", "init_args": {"steps": 3}}
SOLVERS = {
    "ddrm_3": DDRM,
    "ddrm_5": {"class_path": "DDRM", "init_args": {"steps": 5}},
    "plug_and_play": {"class_path": "PlugAndPlay", "init_args": {"steps": 3}},
}
PROBLEMS = {
    "hidden": {"measurement": {"operator": {"class_path": "Inpainting"}, "sigma": 0.1}},
    "coarse": {
        "measurement": {"operator": {"class_path": "BlockAverage", "init_args": {"factor": 2}}, "sigma": 0.1},
        "solvers": {"ddrm_3": {"class_path": "DDRM", "init_args": {"steps": 3, "eta": 0.5}}},
    },
    "bright": {"measurement": {"operator": {"class_path": "HighDynamicRange"}, "sigma": 0.1}},
}
"""DDRM does not serve the last one."""
VARIES = ("seconds", "peak_memory")
"""Measures that differ from run to run."""


def words(prior: Path, folder: Path, *more: str, model: dict | None = None) -> list[str]:
    """The command line of a comparison; the configuration is written beside the folder."""
    tree = {"model": {"measurement": None, "solvers": SOLVERS, "problems": PROBLEMS, **(model or {})}}
    path = folder.with_name(f"{folder.name}.yaml")
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return [
        f"--config={path}",
        f"--model.prior={prior}",
        f"--folder={folder}",
        "--data=Digits",
        "--data.limit=4",
        "--data.batch_size=1",
        "--trainer.accelerator=cpu",
        "--trainer.logger=false",
        "--trainer.enable_progress_bar=false",
        *more,
    ]


def figures(folder: Path) -> list[dict[str, str]]:
    """The rows of ``comparison.csv`` that do not differ from run to run."""
    with (folder / "comparison.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["measure"] not in VARIES]


def steady(folder: Path) -> str:
    """The page without the columns of seconds and memory, which are the last two."""
    lines = (folder / "comparison.md").read_text().splitlines()
    return "\n".join(re.sub(r"( \|[^|]*){2} \|$", "", line) for line in lines)
