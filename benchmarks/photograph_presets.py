"""Chooses settings of solvers for photographs, on pieces of pictures that the prior was trained on.

    python benchmarks/photograph_presets.py --prior photographs --root FOLDER_OF_TRAINING_PICTURES

Each solver is a job of infer.py with all its candidates. After it the best by PSNR of each problem is written
to ``--folder`` as ``PROBLEM.yaml``, which infer.py takes as ``--config``. The same command goes on where it
was interrupted. Options not listed here, such as --trainer.precision bf16-mixed, are handed to infer.py. What
was held out is not looked at.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import yaml
from candidates import Entry, best
from photograph_problems import MEASUREMENTS, SOLVERS, STEPS, candidates, numbered, run

from lightning_inv.files import atomic_write


def main(args: Sequence[str] | None = None) -> None:
    """Chooses the settings of each solver in its turn."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--prior", default="photographs", help="a file, or the name of one that ships")
    parser.add_argument("--root", required=True, help="folder of the pictures it was trained on")
    parser.add_argument("--count", type=int, default=8, help="how many of them")
    parser.add_argument("--size", type=int, default=128, help="height and width of a piece in pixels")
    parser.add_argument("--steps", type=int, nargs=2, default=STEPS, help="of samplers and descents")
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, default=SOLVERS)
    parser.add_argument("--problems", nargs="+", choices=list(MEASUREMENTS), default=list(MEASUREMENTS))
    parser.add_argument("--folder", type=Path, default=Path("results/presets"), help="where choices go")
    parser.add_argument("--accelerator", default="auto", help="what infer.py runs on")
    options, more = parser.parse_known_args(args)
    given = {"root": options.root, "size": options.size, "count": options.count}
    data = {"class_path": "middle_crops.MiddleCrops", "init_args": given}
    known = candidates(options.steps)
    chosen: dict[str, dict[str, Entry]] = {problem: {} for problem in options.problems}
    for solver in options.solvers:
        folder = options.folder / "jobs" / solver
        entries = dict.fromkeys(options.problems, numbered({solver: known[solver]}))
        run(folder, entries, data, options.count, options, more)
        for problem, found in best(folder).items():
            chosen[problem] |= {name: known[name][k] for name, k in found.items()}
            write_preset(options.folder / f"{problem}.yaml", chosen[problem], options.count)


def write_preset(path: Path, solvers: dict[str, Entry], count: int) -> None:
    """Writes solvers as a configuration, whole or not at all."""
    head = f"# Chosen by benchmarks/photograph_presets.py on {count} pieces of training pictures.\n"
    with atomic_write(path) as file:
        file.write((head + yaml.safe_dump({"model": {"solvers": solvers}}, sort_keys=False)).encode())


if __name__ == "__main__":
    main()
