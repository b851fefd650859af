"""Restoration of images with a trained prior."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from lightning_inv.constraints import Measurement
from lightning_inv.data import ImageDataset, Shapes, shapes_of
from lightning_inv.denoisers import Denoiser, MeteredDenoiser, SizedDenoiser, TiledDenoiser
from lightning_inv.memory import PeakMemory
from lightning_inv.modules.parts import Parts, Places, part_of
from lightning_inv.modules.shapes import check_measurement, check_sources, image_shape, of_shape
from lightning_inv.modules.solutions import FiniteSteps, Restored, Solution, warn_of_failures
from lightning_inv.modules.tasks import Task, Work, all_work, only_work, told_of
from lightning_inv.modules.termination import Termination
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Images
from lightning_inv.priors import load_prior
from lightning_inv.solvers import Problem, Solver

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


class Restoration(LightningModule):
    """Measures images, unless the data are measurements, and lets every solver restore them.

    All solvers meet the same measurement and the same streams of noise. With ``problems`` there is a loader
    for each of them, in their order, so that a batch belongs to one problem.

    Args:
        prior: The prior, or the path of its file.
        solvers: The solvers, each by a name of one's choice.
        measurement: How images are measured; None for solvers that look at no measurement.
        samples: Results drawn for each image.
        spread_samples: Share out samples, not images: a batch holds several samples of an image, or of a few,
            and each device draws some of them. Of all samples only mean and deviation are kept.
        seed: The random numbers of every image follow from it and the image's index.
        label: The class that a prior of classes is told for every image; None for those of the data.
        packages: Packages, besides ``lightning_inv``, whose classes the prior's file may name.
        problems: Several problems, each by a name of one's choice, instead of ``measurement``; a solver that
            cannot deal with one of them is left out there.
        tile: The side in pixels of the tiles in which the prior, one of any size, sees larger images; None
            shows it whole images.
        overlap: The pixels that neighbouring tiles share, see ``TiledDenoiser``.
        size: Height and width of all images, for a prior of any size where the data do not tell them.
        halve_batch: Halve batches that do not fit into memory, which changes no result.

    Attributes:
        work: For each problem what is to be done; where there is only one, its name is empty.

    Raises:
        ValueError: A setting is out of its range, or the prior's file cannot be used.
        TypeError: A solver cannot deal with the operator, or none can with one of several problems.
        FileNotFoundError: There is no prior at that path.
    """

    def __init__(  # noqa: PLR0913 (each is one choice of the user)
        self,
        prior: Denoiser | Path | str,
        solvers: dict[str, Solver],
        measurement: Measurement | None = None,
        samples: int = 1,
        seed: int = 0,
        label: int | None = None,
        packages: Sequence[str] = (),
        problems: dict[str, Task] | None = None,
        tile: int | None = None,
        overlap: int = 32,
        size: tuple[int, int] | None = None,
        spread_samples: bool = False,
        halve_batch: bool = True,
    ) -> None:
        super().__init__()
        if samples < 1 + spread_samples:
            why = " with model.spread_samples" if spread_samples else ""
            raise ValueError(f"model.samples must be at least {1 + spread_samples}{why}, got {samples}.")
        if problems is not None and measurement is not None:
            raise ValueError("give model.measurement or model.problems, not both; set the other to null.")
        if isinstance(prior, str | Path):
            prior = load_prior(prior, packages)
        prior = prior if tile is None else TiledDenoiser(prior, tile, overlap)
        if size is not None and min(size) < 1:
            raise ValueError(f"model.size must be positive, got {list(size)}.")
        prior = prior if size is None else SizedDenoiser(prior, (prior.shape[0], *size))
        self.prior = prior.eval().requires_grad_(False)
        self.solvers, self.measurement, self.problems = solvers, measurement, problems
        self.samples, self.seed, self.label, classes = samples, seed, label, self.prior.num_classes
        self.spread_samples = spread_samples
        if label is not None and not 0 <= label < (classes or 0):
            raise ValueError(f"model.label must be a class of the prior, which has {classes}, got {label}.")
        self.work: dict[str, Work] = (
            only_work(self.prior, solvers, measurement)
            if problems is None
            else all_work(self.prior, solvers, problems)
        )
        seen = [work.measurement for work in self.work.values() if work.measurement is not None]
        held = [solver.modules() for work in self.work.values() for solver in work.solvers.values()]
        self.measurements = nn.ModuleList(seen)  # what problems and solvers hold moves with the model
        self.parts = nn.ModuleList(nn.ModuleList(modules) for modules in held)
        self.parts.eval().requires_grad_(False)
        self._warm, self._checked = False, None
        self._in_parts = Parts(halve_batch)

    def setup(self, stage: str) -> None:
        self.check(self.trainer.datamodule.selected())

    def check(self, images: ImageDataset) -> None:
        """Finds before any work what would stop it later.

        Raises:
            ValueError: The precision is not one of solvers, or they cannot differentiate, or the images, or
                their masks, do not fit the prior or the operator.
        """
        if self.trainer.predict_loop.inference_mode:
            raise ValueError("trainer.inference_mode must be false, got true: solvers differentiate.")
        if str(self.trainer.precision) not in PRECISIONS:
            raise ValueError(
                f"trainer.precision must be 32, bf16-mixed or 16-mixed, got {self.trainer.precision}: "
                "solvers compute in 32 bits, only the network may run in 16."
            )
        if not len(images):
            raise ValueError(f"there are no images in the split {self.trainer.datamodule.split!r}.")
        if images is not self._checked:
            self.check_images(images)
        self._checked = images

    def check_images(self, images: ImageDataset) -> None:
        """Finds what would stop the restoration of these images.

        Raises:
            ValueError: The images, or their masks, do not fit the prior, the operator or a solver.
        """
        first, alike = images[0], images.by_shape()
        if self.needs_labels:
            if "label" not in first:
                raise ValueError(
                    "the prior must be told classes, but the data have no labels: give model.label."
                )
            images.check_labels(self.prior.num_classes)
        if len(self.work) > 1 and "measurement" in first:
            raise ValueError("the data are measurements of one problem: give model.measurement instead.")
        for name, work in self.work.items():
            with told_of(name):
                for indices in alike:
                    self._check_work(work, images.shapes(indices[0]), [images.names[i] for i in indices])

    def _check_work(self, work: Work, shapes: Shapes, names: list[str]) -> None:
        """Raises ValueError unless images of these shapes and names can be restored."""
        check_sources(work.measurement, shapes)
        shape = image_shape(self.prior, work.measurement, shapes)
        check_measurement(work.measurement, shape, shapes, names)
        for solver in work.solvers.values():
            solver.check(of_shape(self.prior, shape), work.measurement)

    def configure_callbacks(self) -> list[Callback]:
        return [Termination()]  # after the others, so that they have written what was done

    def predict_step(self, batch: dict[str, Any], batch_idx: int, dataloader_idx: int = 0) -> Restored:
        device = self.device.type
        autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        name, work = list(self.work.items())[dataloader_idx]
        shapes = {key: shape[1:] for key, shape in shapes_of(batch).items()}
        prior = of_shape(self.prior, image_shape(self.prior, work.measurement, shapes))
        with torch.autocast(device, enabled=False):  # the network alone runs in low precision
            return self._restore(batch, name, work, MeteredDenoiser(prior, autocast))

    def _restore(self, batch: dict[str, Any], name: str, work: Work, prior: MeteredDenoiser) -> Restored:
        indices, names = batch["index"].tolist(), list(batch["name"])
        problem = self._problem(batch, work, prior)
        self._warm_up(problem)
        drawn = batch["sample"].tolist() if "sample" in batch else None
        blank = torch.full((1 if drawn else self.samples, 1, *prior.shape), torch.nan, device=self.device)

        def given(places: Places) -> tuple[Problem, dict[str, Any]]:
            part = batch if len(places) == len(indices) else part_of(batch, places)
            return problem if part is batch else self._problem(part, work, prior), part

        def solution(solver: Solver, title: str) -> Solution:
            found = self._in_parts.solve(
                lambda places: self._solve(solver, title, *given(places)), len(indices), title, blank
            )
            warn_of_failures(title, names, found.failed)
            return found

        solutions = {key: solution(solver, f"{name} {key}".strip()) for key, solver in work.solvers.items()}
        return Restored(
            indices, names, batch.get("image"), problem.y, problem.measurement, solutions, name, drawn
        )

    def _problem(self, batch: dict[str, Any], work: Work, prior: MeteredDenoiser) -> Problem:
        """The problem of a batch, measured, with the masks and the noise of its images."""
        indices, names = batch["index"].tolist(), list(batch["name"])
        measurement, y = work.measurement, batch.get("measurement")
        if measurement is not None:
            images = Images(prior.shape, names, self._rng(indices, "operator"))
            measurement = measurement.prepare(images)
        if y is None and measurement is not None:
            y = measurement.observe(batch["image"], self._rng(indices, "measurement"))
        elif y is not None:
            y = y * measurement.operator.observed(y)
        return Problem(y, measurement, prior, self._rng(indices, "solver"), self._labels(batch))

    def _solve(self, solver: Solver, title: str, problem: Problem, batch: dict[str, Any]) -> Solution:
        """Runs one solver in rounds, each the number of a sample, or one for each image, with its noise."""
        indices, samples, prior, numbers = batch["index"].tolist(), [], problem.prior, FiniteSteps()
        rounds = [batch["sample"].tolist()] if "sample" in batch else range(self.samples)
        calls, memory, began = prior.calls, PeakMemory(self.device), self._now()
        for k, sample in enumerate(rounds, 1):
            shown = title if len(rounds) == 1 else f"{title} {k}/{len(rounds)}"
            iterates = solver.iterates(replace(problem, rng=self._rng(indices, "solver", sample)))
            iterates = numbers.watch(self._shown(iterates, shown, solver.length))
            samples.append(deque(iterates, maxlen=1).pop().clone())
        seconds = (self._now() - began) / len(indices)
        calls = [(now - then) // len(rounds) for now, then in zip(prior.calls, calls, strict=True)]
        x = torch.stack(samples)
        return Solution(x, *calls, seconds, memory.read(), numbers.reasons(x, solver.length))

    def _warm_up(self, problem: Problem) -> None:
        """Calls the network once, so that the first solver's seconds are not those of loading libraries."""
        if not self._warm:
            first = replace(problem, label=None if problem.label is None else problem.label[:1])
            with torch.no_grad():
                x_t = torch.zeros(1, *problem.prior.shape, device=self.device)
                first.denoise(x_t, torch.tensor(self.prior.schedule.T, device=self.device))
            self._warm = True

    @property
    def needs_labels(self) -> bool:
        """Whether the prior is told the classes that the data tell."""
        return self.prior.num_classes is not None and self.label is None

    def _labels(self, batch: dict[str, Any]) -> Tensor | None:
        """The classes that the prior is told, shape ``(B,)``."""
        if self.prior.num_classes is None:
            return None
        return batch["label"] if self.label is None else torch.full_like(batch["index"], self.label)

    def _rng(self, indices: Sequence[int], purpose: str, sample: int | Sequence[int] = 0) -> NoiseStream:
        return NoiseStream.of(self.seed, indices, purpose, sample, self.device)

    def _now(self) -> float:
        """The time when all work given to the device is done, in seconds."""
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)
        return time.perf_counter()

    def _shown(self, iterates: Iterator[Tensor], title: str, length: int) -> Iterator[Tensor]:
        """The iterates, told to the progress bar if it has a place for steps."""
        show = getattr(self.trainer.progress_bar_callback, "step", None) if self._trainer else None
        for i, x in enumerate(iterates):
            if show is not None:
                show(title, i + 1, length)
            yield x
