"""What infer.py writes."""

import math
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from lightning_inv.callbacks.logging import tensorboard
from lightning_inv.callbacks.manifest import Manifest, settings_of
from lightning_inv.callbacks.pictures import comparison, write_picture, write_png
from lightning_inv.metrics import psnr, ssim
from lightning_inv.modules import Restoration, Restored, Solution


class ResultWriter(BasePredictionWriter):
    """Writes the pictures and the record of every image, and a comparison grid of every batch.

    The folder holds ``<solver>/<name>.png`` (with several samples the mean, beside ``<solver>_std`` and
    ``<solver>_samples``), ``measurement``, ``truth``, ``grids`` and ``records``. Images that are done are
    left alone when the same command is run again.

    Args:
        folder: The folder.
        overwrite: Begin anew where the folder holds results of other settings.
        grid_rows: The images shown in the grid of a batch, at most; 0 for no grid.
    """

    def __init__(self, folder: str = "results/demo", overwrite: bool = False, grid_rows: int = 16) -> None:
        super().__init__("batch")
        self.folder, self.overwrite, self.grid_rows = Path(folder), overwrite, grid_rows
        self.manifest = Manifest(self.folder)

    def setup(self, trainer: Trainer, pl_module: Restoration, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        data, done, problem = trainer.datamodule, None, None
        pl_module.check(data.selected())  # before the folder is touched
        if trainer.is_global_zero:  # one rank looks and tells the others, so that all see the same
            try:
                settings = settings_of(pl_module, data, str(trainer.precision))
                done = self.manifest.open(settings, self.overwrite)
            except (OSError, TypeError, ValueError) as error:
                problem = str(error)
        done, problem = trainer.strategy.broadcast((done, problem))
        if problem:
            raise ValueError(problem)
        data.finished = frozenset(done)

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Restored,
        batch_indices: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        rows = {name: score(prediction, solution) for name, solution in prediction.solutions.items()}
        if self.grid_rows:
            self._grid(trainer, prediction, rows)
        for b, (index, name) in enumerate(zip(prediction.indices, prediction.names, strict=True)):
            self._pictures(prediction, b)
            solvers = {
                solver: {key: values[b] for key, values in row.items()} for solver, row in rows.items()
            }
            self.manifest.add(index, {"index": index, "name": name, "solvers": solvers})

    def _pictures(self, restored: Restored, b: int) -> None:
        name = f"{restored.names[b]}.png"
        if restored.truth is not None:
            write_png(self.folder / "truth" / name, restored.truth[b])
        if restored.y is not None and restored.y.ndim == 4:
            write_png(self.folder / "measurement" / name, restored.y[b])
        for solver, solution in restored.solutions.items():
            samples = solution.samples[:, b]
            write_png(self.folder / solver / name, samples.mean(0))
            if len(samples) > 1:
                write_png(self.folder / f"{solver}_std" / name, deviation(samples))
                for k, sample in enumerate(samples):
                    write_png(self.folder / f"{solver}_samples" / restored.names[b] / f"{k:03d}.png", sample)

    def _grid(self, trainer: Trainer, restored: Restored, rows: dict[str, dict[str, list]]) -> None:
        columns = [
            *(["truth"] if restored.truth is not None else []),
            *(["measurement"] if restored.y is not None and restored.y.ndim == 4 else []),
        ]
        fixed = {"truth": restored.truth, "measurement": restored.y}
        table = []
        for b in range(min(len(restored.names), self.grid_rows)):
            cells: list[tuple[Tensor | None, str]] = [(fixed[column][b], "") for column in columns]
            for solver, solution in restored.solutions.items():
                value = rows[solver]["psnr_of_mean"][b]
                cells.append((solution.samples[:, b].mean(0), "" if value is None else f"{value:.1f} dB"))
                if len(solution.samples) > 1:
                    cells.append((deviation(solution.samples[:, b]), ""))
            table.append(cells)
        for solver, solution in restored.solutions.items():
            columns += [solver] if len(solution.samples) == 1 else [f"{solver} mean", f"{solver} std"]
        sheet = comparison(columns, table)
        write_picture(self.folder / "grids" / f"{restored.indices[0]:06d}.png", sheet)
        if (writer := tensorboard(trainer)) is not None:
            writer.add_image("restored", pil_to_tensor(sheet), restored.indices[0])


def deviation(samples: Tensor) -> Tensor:
    """The deviation over samples, shape ``(K, C, H, W)``, shown from black, 0, to white, 1 or more."""
    return samples.std(0, correction=1) * 2 - 1


def finite(values: Tensor) -> list[float | None]:
    """The numbers; None for one that is infinite, as of a perfect image, or no number."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def score(restored: Restored, solution: Solution) -> dict[str, list]:
    """Measures of one solver, a list over images each; None where the truth or the measurement is not known.

    ``psnr`` and ``ssim`` are means over samples of the measure of one sample; those ``_of_mean`` are of the
    mean of the samples. ``consistency`` is |A x - y|, root mean square, in units of the noise's deviation,
    or in units of x if there is no noise. ``evaluations`` are for one sample, ``seconds`` for all.
    """
    samples, truth, measurement = solution.samples, restored.truth, restored.measurement
    B = len(restored.names)
    mean, nothing = samples.mean(0), [None] * B

    def average(measure: Any) -> list[float | None]:
        return finite(torch.stack([measure(sample) for sample in samples]).cpu().double().mean(0))

    known, seen = truth is not None, restored.y is not None
    return {
        "psnr": average(lambda x: psnr(x, truth)) if known else nothing,
        "psnr_of_mean": finite(psnr(mean, truth)) if known else nothing,
        "ssim": average(lambda x: ssim(x, truth)) if known else nothing,
        "ssim_of_mean": finite(ssim(mean, truth)) if known else nothing,
        "consistency": average(lambda x: measurement.consistency(x, restored.y)) if seen else nothing,
        "evaluations": [solution.evaluations] * B,
        "seconds": [solution.seconds] * B,
    }
