"""Restoration of images with a trained prior."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn

from lightning_inv.constraints import Measurement
from lightning_inv.data import ImageDataset
from lightning_inv.denoisers import Denoiser, MeteredDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Images
from lightning_inv.priors import load_prior
from lightning_inv.solvers import Problem, Solver

RESERVED = frozenset({"truth", "measurement", "grids", "records", "checkpoints"})
"""Names of folders of results that no solver may have."""


def check_names(solvers: dict[str, Solver]) -> None:
    """Raises ValueError unless each name can be that of a folder beside the other results."""
    for name in solvers:
        if not name.replace("_", "").replace("-", "").isalnum():
            raise ValueError(f"the name of a solver is made of letters, digits, - and _; got {name!r}.")
        if name in RESERVED or name.endswith(("_std", "_samples")):
            raise ValueError(f"{name!r} is the name of a folder of results; give the solver another one.")


PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class Solution:
    """What one solver made of a batch.

    Args:
        samples: K results an image, shape ``(K, B, C, H, W)``.
        evaluations: Network evaluations, forward and backward, for one sample of each image.
        seconds: Wall time for one image, all samples.
    """

    samples: Tensor
    evaluations: int
    seconds: float


@dataclass(frozen=True)
class Restored:
    """A batch after ``predict_step``.

    Args:
        indices: The index of each image.
        names: The name of each image.
        truth: The true images, shape ``(B, C, H, W)``, if they are known.
        y: The measurements, if there are any.
        measurement: How they were made.
        solutions: What each solver made of them.
    """

    indices: list[int]
    names: list[str]
    truth: Tensor | None
    y: Tensor | None
    measurement: Measurement | None
    solutions: dict[str, Solution]


class Restoration(LightningModule):
    """Measures images, unless the data are measurements, and lets every solver restore them.

    All solvers meet the same measurement and the same streams of noise.

    Args:
        prior: The prior, or the path of its file.
        solvers: The solvers, each by a name of one's choice.
        measurement: How images are measured; None for solvers that look at no measurement.
        samples: Results drawn for each image.
        seed: The random numbers of every image follow from it and the image's index.
        label: The class that a prior of classes is told for every image; None for those of the data.
        packages: Packages, besides ``lightning_inv``, whose classes the prior's file may name.

    Raises:
        ValueError: A setting is out of its range, or the prior's file cannot be used.
        TypeError: A solver cannot deal with the operator.
        FileNotFoundError: There is no prior at that path.
    """

    def __init__(
        self,
        prior: Denoiser | Path | str,
        solvers: dict[str, Solver],
        measurement: Measurement | None = None,
        samples: int = 1,
        seed: int = 0,
        label: int | None = None,
        packages: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if samples < 1:
            raise ValueError(f"model.samples must be at least 1, got {samples}.")
        if not solvers:
            raise ValueError("model.solvers must name at least one solver.")
        check_names(solvers)
        if isinstance(prior, str | Path):
            prior = load_prior(prior, packages)
        self.prior = prior.eval().requires_grad_(False)
        self.parts = nn.ModuleList(nn.ModuleList(solver.modules()) for solver in solvers.values())
        self.parts.eval().requires_grad_(False)  # what solvers hold moves with the model
        self.solvers, self.measurement, self.samples, self.seed = solvers, measurement, samples, seed
        self.label, classes = label, self.prior.num_classes
        if label is not None and not 0 <= label < (classes or 0):
            raise ValueError(f"model.label must be a class of the prior, which has {classes}, got {label}.")
        if measurement is not None:
            measurement.check(self.prior.shape)
        for solver in solvers.values():
            solver.check(self.prior, measurement)

    def setup(self, stage: str) -> None:
        self.check(self.trainer.datamodule.selected())

    def check(self, images: ImageDataset) -> None:
        """Finds before any work what would stop it later.

        Raises:
            ValueError: The precision is not one of solvers, or the images, or their masks, do not fit the
                prior or the operator.
        """
        if str(self.trainer.precision) not in PRECISIONS:
            raise ValueError(
                f"trainer.precision must be 32, bf16-mixed or 16-mixed, got {self.trainer.precision}: "
                "solvers compute in 32 bits, only the network may run in 16."
            )
        if not len(images):
            raise ValueError(f"there are no images in the split {self.trainer.datamodule.split!r}.")
        first, names = images[0], [images.names[i] for i in range(len(images))]
        if "image" in first and tuple(first["image"].shape) != tuple(self.prior.shape):
            raise ValueError(
                f"the images have shape {tuple(first['image'].shape)} (C, H, W), "
                f"but the prior was trained on {tuple(self.prior.shape)}."
            )
        if self.prior.num_classes is not None and self.label is None and "label" not in first:
            raise ValueError("the prior must be told classes, but the data have no labels: give model.label.")
        if self.measurement is not None:
            self._check_measurement(first, names)
        elif "measurement" in first:
            raise ValueError(
                "the data are measurements, but model.measurement does not say how they were made."
            )

    def _check_measurement(self, first: dict[str, Any], names: list[str]) -> None:
        """Raises ValueError unless the images, of which ``first`` is one, can be or were measured so."""
        self.measurement.check(self.prior.shape, names)
        if "measurement" not in first:
            if "image" not in first:
                raise ValueError(
                    "there is nothing to measure: the data have neither images nor measurements."
                )
            return
        if self.measurement.random:
            part = self.measurement.operator if self.measurement.operator.random else self.measurement.noise
            raise ValueError(
                f"{type(part).__name__} would be drawn at random, but the images were "
                "measured already: give it as it was, such as a mask by MaskFile or MaskFolder."
            )
        first_image = Images(self.prior.shape, names[:1], NoiseStream.of(self.seed, [0], "operator"))
        operator = self.measurement.prepare(first_image).operator  # on the CPU, where buffers are in setup
        expected = operator(torch.zeros(1, *self.prior.shape))[0].shape
        if first["measurement"].shape != expected:
            raise ValueError(
                f"the measurements have shape {tuple(first['measurement'].shape)}, "
                f"but the operator makes {tuple(expected)} of the prior's images."
            )

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> Restored:
        if torch.is_inference_mode_enabled():
            raise RuntimeError("solvers differentiate: give the Trainer inference_mode=False.")
        device = self.device.type
        autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        with torch.autocast(device, enabled=False):  # the network alone runs in low precision
            return self._restore(batch, MeteredDenoiser(self.prior, autocast))

    def on_predict_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        if self.trainer.received_sigterm:  # Lightning ignores it in predict; this batch is on the disk by now
            raise SystemExit(143)

    def _restore(self, batch: dict[str, Any], prior: MeteredDenoiser) -> Restored:
        indices, names, truth = batch["index"].tolist(), list(batch["name"]), batch.get("image")
        measurement = self._prepare(indices, names) if self.measurement is not None else None
        y = batch.get("measurement")
        if y is None and measurement is not None:
            y = measurement.observe(truth, self._rng(indices, "measurement"))
        elif y is not None:
            y = y * measurement.operator.observed(y)
        problem = Problem(y, measurement, prior, self._rng(indices, "solver"), self._labels(batch))
        solutions = {name: self._solve(name, problem, indices) for name in self.solvers}
        return Restored(indices, names, truth, y, measurement, solutions)

    def _solve(self, name: str, problem: Problem, indices: list[int]) -> Solution:
        """Runs one solver, once a sample, each time with fresh streams of noise."""
        solver, samples = self.solvers[name], []
        calls, began = problem.prior.evaluations, self._now()
        for k in range(self.samples):
            title = name if self.samples == 1 else f"{name} {k + 1}/{self.samples}"
            iterates = solver.iterates(replace(problem, rng=self._rng(indices, "solver", k)))
            x = deque(self._shown(iterates, title, solver.length), maxlen=1).pop()
            samples.append(x.clone())
        calls = (problem.prior.evaluations - calls) // self.samples
        return Solution(torch.stack(samples), calls, (self._now() - began) / len(indices))

    def _labels(self, batch: dict[str, Any]) -> Tensor | None:
        """The classes that the prior is told, shape ``(B,)``."""
        if self.prior.num_classes is None:
            return None
        return batch["label"] if self.label is None else torch.full_like(batch["index"], self.label)

    def _prepare(self, indices: Sequence[int], names: Sequence[str]) -> Measurement:
        return self.measurement.prepare(Images(self.prior.shape, names, self._rng(indices, "operator")))

    def _rng(self, indices: Sequence[int], purpose: str, sample: int = 0) -> NoiseStream:
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
