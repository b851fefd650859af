"""The search of a run of infer.py: its prior, its problem, its images and its solver."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning import Trainer

import lightning_inv
from lightning_inv.callbacks.manifest import settings_of
from lightning_inv.callbacks.places import check_files, check_left
from lightning_inv.callbacks.scores import score
from lightning_inv.data import ImageDataModule
from lightning_inv.data.dataset import First
from lightning_inv.modules import Restoration
from lightning_inv.recipes import describe
from lightning_inv.solvers import Solver
from lightning_inv.tuning.preset import preset_text, write_preset, write_trials
from lightning_inv.tuning.search import Search, open_study, run_trials
from lightning_inv.tuning.space import read_space, with_settings

OUTPUTS = ("trials.journal", "trials.csv", "preset.yaml")
"""The files that a search writes."""


class Trials:
    """Restores the validation images of a run with other settings of one solver.

    Args:
        search: The search.
        model: The model of the run.
        data: Its images.
        trainer: Its trainer, which says where and how precisely it computes.

    Raises:
        ValueError: The run has several problems, no such solver, the images or the seed of tests, no such
            setting, or images whose truth is not known.
        TypeError: The solver cannot deal with the problem.
    """

    def __init__(self, search: Search, model: Restoration, data: ImageDataModule, trainer: Trainer) -> None:
        self.search, self.model, self.data, self.trainer = search, model, data, trainer
        if model.problems is not None:
            raise ValueError("a search is for one problem: give model.measurement, not model.problems.")
        if search.solver not in model.solvers:
            known = ", ".join(model.solvers)
            raise ValueError(f"tune.solver must be one of model.solvers, {known}; got {search.solver!r}.")
        if data.split == "test":
            raise ValueError("a search must not see test images: give data.split, such as val.")
        if search.seed == model.seed:
            raise ValueError(f"tune.seed must differ from model.seed, got {search.seed} for both.")
        images = data.selected()
        self.images = First(images, search.images)
        if "image" not in images[0]:
            raise ValueError("a search compares with true images: the data have none.")
        first = {path: part.first for path, part in read_space(search.space).items()}
        self.restoration(first).check_images(self.images)

    def solver(self, values: Mapping[str, Any]) -> Solver:
        """The solver with these settings."""
        return with_settings(self.model.solvers[self.search.solver], values)

    def restoration(self, values: Mapping[str, Any]) -> Restoration:
        """A model that restores with these settings as infer.py would, but with the seed of the search."""
        model, solvers = self.model, {self.search.solver: self.solver(values)}
        return Restoration(
            model.prior, solvers, model.measurement, model.samples, self.search.seed, model.label
        )

    def __call__(self, values: Mapping[str, Any]) -> Iterator[list[float | None]]:
        """Yields the measure of each image of a batch, batch by batch."""
        device = self.trainer.strategy.root_device
        model = self.restoration(values).to(device)
        for batch in self.data.in_batches(self.images, range(len(self.images))):
            there = model.transfer_batch_to_device(batch, device, 0)
            with self.trainer.precision_plugin.predict_step_context():
                restored = model.predict_step(there, 0)
            yield score(restored, restored.solutions[self.search.solver])[self.search.measure]


def tune(
    search: Search, model: Restoration, data: ImageDataModule, trainer: Trainer, folder: str, prior: str
) -> dict[str, Any]:
    """Searches, or goes on with a search, writes the preset and the table of trials; returns the best.

    Args:
        search: The search.
        model: The model of the run.
        data: Its images.
        trainer: Its trainer.
        folder: The folder of the results.
        prior: What the prior is called.

    Raises:
        ValueError: The search does not fit the run, its folder or its images, no trial was completed, or
            what is in the place of a file that it writes is none, or was not left by a search.
        TypeError: The solver cannot deal with the problem.
        ImportError: optuna is not installed.
    """
    path = Path(folder)
    check_files(path, OUTPUTS)
    journal, *others = (path / name for name in OUTPUTS)
    searched = journal.exists() and journal.stat().st_size > 0
    check_left(others, searched, f"no {journal.name} beside it tells of a search that has left it")
    trials = Trials(search, model, data, trainer)
    measurement = model.measurement.recipe if model.measurement else None
    told = settings_of(trials.restoration({}), data, str(trainer.precision))[""]
    study = open_study(search, path, told | {"images": len(trials.images)})
    try:
        run_trials(search, study, trials)
    finally:
        write_trials(study, path / "trials.csv")
    run = {
        "images": f"the first {len(trials.images)} of the split {data.split!r} of {type(data).__name__}",
        "seed": search.seed,
        "version": version(),
        "prior": prior,
        "problem": measurement,
        "sigma": noise_of(model),
        "samples": model.samples,
    }
    write_preset(path / "preset.yaml", preset_text(search, study, trials.solver(study.best_params), run))
    return {"measure": search.measure, "best": study.best_value, "settings": study.best_params}


def noise_of(model: Restoration) -> str:
    """The noise of the problem; the deviation of Gaussian noise in both units."""
    if model.measurement is None:
        return "nothing is measured"
    sigma = model.measurement.sigma
    if sigma is None:
        return str(describe(model.measurement.noise))
    return f"{sigma:g} for images in [-1, 1], {sigma / 2:g} for images in [0, 1]"


def version() -> str:
    """The version of the package, and its commit if it lies in a repository."""
    words, commit = ["git", "--no-optional-locks", "describe", "--always", "--dirty"], ""
    with suppress(OSError, subprocess.CalledProcessError):
        here = Path(lightning_inv.__file__).parent
        found = subprocess.run(words, cwd=here, capture_output=True, text=True, check=True)
        commit = f", commit {found.stdout.strip()}"
    return f"lightning_inv {lightning_inv.__version__}{commit}"
