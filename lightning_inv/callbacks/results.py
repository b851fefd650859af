"""What infer.py writes."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from lightning_inv.callbacks.inputs import check_inputs
from lightning_inv.callbacks.logging import tensorboard
from lightning_inv.callbacks.manifest import Manifest, picture_path, settings_of
from lightning_inv.callbacks.pictures import comparison, write_picture, write_png
from lightning_inv.callbacks.places import check_folders, check_names, check_place, problems_in
from lightning_inv.callbacks.scores import score
from lightning_inv.callbacks.spread import SampleFiles, Tally, record
from lightning_inv.data import ImageDataModule
from lightning_inv.modules import Restoration, Restored

WRITERS = 8
"""Images whose pictures are written at once: a picture waits for the disk most of its time."""


class ResultWriter(BasePredictionWriter):
    """Writes the pictures and the record of every image, and a comparison grid of every batch.

    The folder holds ``<solver>/<name>.png`` (with several samples the mean, beside ``<solver>_std`` and
    ``<solver>_samples``), ``measurement``, ``truth``, ``grids`` and ``records``. Of several problems each has
    such a folder within it; pictures of images from the 10000th on lie in folders of as many within these.
    Images that are done are left alone when the same command is run again, also those for which a solver has
    failed: what is not finite has no picture, and its record says so. Where samples are spread over
    processes, what each has of an image is in ``tallies`` until all are drawn.

    Args:
        folder: The folder.
        overwrite: Begin anew where the folder holds results of other settings; not with ``data.shard``.
        grid_rows: The images shown in the grid of a batch, at most; 0 for no grid.
        inputs: Write the true images and the measurements, too.
    """

    def __init__(
        self, folder: str = "results/demo", overwrite: bool = False, grid_rows: int = 16, inputs: bool = True
    ) -> None:
        super().__init__("batch")
        self.folder, self.overwrite, self.grid_rows = Path(folder), overwrite, grid_rows
        self.inputs = inputs
        self.manifests: dict[str, Manifest] = {}
        self.sample_files: dict[str, SampleFiles] = {}

    def setup(self, trainer: Trainer, pl_module: Restoration, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        data, shared = trainer.datamodule, trainer.datamodule.shard is not None
        names = data.selected().names
        self.manifests = {name: Manifest(self.folder / name, names) for name in pl_module.work}
        self.sample_files = {
            name: SampleFiles(manifest.tallies, manifest.parts, partial(_fits, name, data, pl_module))
            for name, manifest in self.manifests.items()
        }
        if shared and self.overwrite:
            raise ValueError(f"no output.overwrite with data.shard: others may be at work in {self.folder}.")
        check_names(names, 1 if pl_module.spread_samples else pl_module.samples)
        solvers = {name: work.solvers for name, work in pl_module.work.items()}
        told(trainer, lambda: check_folders(self.folder, solvers))
        told(trainer, lambda: self._check_inputs(solvers, data, pl_module))
        settings = told(trainer, lambda: settings_of(pl_module, data, str(trainer.precision)))
        data.finished = told(trainer, lambda: self._done(settings, shared, Manifest.look))
        data.verify_left()
        pl_module.check(data.selected())
        data.finished = told(trainer, lambda: self._done(settings, shared, Manifest.open))
        data.drawn = told(trainer, lambda: [files.drawn() for files in self.sample_files.values()])
        data.samples = pl_module.samples if pl_module.spread_samples else None

    def _check_inputs(
        self, solvers: dict[str, dict[str, Any]], data: ImageDataModule, module: Restoration
    ) -> None:
        """Raises ValueError if what is read would be written over, or cleared with results of before."""
        all_of_them = {name: {*own, *self.manifests[name].solvers()} for name, own in solvers.items()}
        check_inputs(self.folder, all_of_them, data.selected(), module.work.values())

    def _done(
        self, settings: dict[str, dict[str, Any]], shared: bool, ask: Callable[..., set[int]]
    ) -> list[frozenset[int]]:
        """The images of each problem that are done, as the manifest says that is asked in this way."""
        if "" not in settings and Manifest(self.folder).path.exists():
            raise ValueError(f"{self.folder} holds results of one problem; give --folder another name.")
        if "" in settings and (several := ", ".join(problems_in(self.folder))):
            raise ValueError(
                f"{self.folder} holds results of problems, {several}; give --folder another name."
            )
        return [
            frozenset(ask(self.manifests[name], settings[name], self.overwrite, shared)) for name in settings
        ]

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
        scores = [
            {solver: {key: values[b] for key, values in row.items()} for solver, row in rows.items()}
            for b in range(len(prediction.indices))
        ]
        if prediction.drawn is not None:
            self._samples(prediction, scores)
            return
        self._images(prediction, scores)
        if self.grid_rows:
            self._grid(trainer, prediction, rows)

    def _images(self, prediction: Restored, scores: list[dict[str, dict[str, Any]]]) -> None:
        """Writes the pictures of images, then their records."""

        def write(b: int) -> None:
            self._given(prediction, b)
            self._restored(prediction, b)

        with ThreadPoolExecutor(WRITERS) as pool:
            deque(pool.map(write, range(len(scores))), maxlen=0)  # raises what one of them has raised
        named = zip(prediction.indices, prediction.names, scores, strict=True)
        self.manifests[prediction.problem].add(
            {"index": index, "name": name, "solvers": values} for index, name, values in named
        )

    def _samples(self, restored: Restored, scores: list[dict[str, dict[str, Any]]]) -> None:
        """Writes what is kept of single samples."""
        files = self.sample_files[restored.problem]
        files.keep(restored.indices)
        for b, (index, sample) in enumerate(zip(restored.indices, restored.drawn, strict=True)):
            if sample == 0:
                self._given(restored, b)
            x = {solver: solution.samples[0, b] for solver, solution in restored.solutions.items()}
            files.add(index, sample, x, scores[b])
        files.write()

    def merge(self, trainer: Trainer, pl_module: Restoration) -> None:
        """Makes results of images whose samples several processes have drawn; each rank does its share."""
        data, ranks = trainer.datamodule, trainer.world_size
        for k, (name, manifest) in enumerate(self.manifests.items()):
            images, own = data.selected(), data.todo(k)[trainer.global_rank :: ranks]
            for tally in self.sample_files[name].complete(own, pl_module.samples):
                index, item = tally.index, images[tally.index]
                for solver, moments in tally.moments.items():
                    self._write(name, solver, index, item["name"], moments.mean)
                    std = moments.variance.sqrt() * 2 - 1
                    self._write(name, f"{solver}_std", index, item["name"], std)
                manifest.add([record(tally, item["name"], item.get("image"))])

    def _write(self, problem: str, folder: str, index: int, name: str, x: Tensor) -> None:
        """Writes a picture; none of numbers that are not finite, which no picture can show."""
        manifest = self.manifests[problem]
        path = picture_path(manifest.folder / folder, index, name)
        check_place(self.folder, path)
        if x.isfinite().all():
            write_png(path, x, manifest.parts)

    def _given(self, restored: Restored, b: int) -> None:
        """Writes the pictures of an image that no solver has made."""
        if not self.inputs:
            return
        write = partial(self._write, restored.problem, index=restored.indices[b], name=restored.names[b])
        if restored.truth is not None:
            write("truth", x=restored.truth[b])
        if restored.y is not None and restored.y.ndim == 4:
            write("measurement", x=restored.y[b])

    def _restored(self, restored: Restored, b: int) -> None:
        """Writes the pictures of an image that solvers have made."""
        write, name = partial(self._write, restored.problem, index=restored.indices[b]), restored.names[b]
        for solver, solution in restored.solutions.items():
            samples = solution.samples[:, b]
            write(solver, name=name, x=samples.mean(0))
            if len(samples) > 1:
                write(f"{solver}_std", name=name, x=deviation(samples))
                for k, sample in enumerate(samples):
                    write(f"{solver}_samples", name=f"{name}/{k:03d}", x=sample)

    def _grid(self, trainer: Trainer, restored: Restored, rows: dict[str, dict[str, list]]) -> None:
        columns = [
            *(["truth"] if restored.truth is not None else []),
            *(["measurement"] if restored.y is not None and restored.y.ndim == 4 else []),
        ]
        fixed, known = len(columns), {"truth": restored.truth, "measurement": restored.y}
        table = []
        for b in range(min(len(restored.names), self.grid_rows)):
            cells: list[tuple[Tensor | None, str]] = [(known[column][b], "") for column in columns]
            for solver, solution in restored.solutions.items():
                value, samples = rows[solver]["psnr_of_mean"][b], solution.samples[:, b]
                failed = solution.failed[b] is not None
                caption = "failed" if failed else "" if value is None else f"{value:.1f} dB"
                cells.append((None if failed else samples.mean(0), caption))
                if len(samples) > 1:
                    cells.append((None if failed else deviation(samples), ""))
            table.append(cells)
        for solver, solution in restored.solutions.items():
            columns += [solver] if len(solution.samples) == 1 else [f"{solver} mean", f"{solver} std"]
        sheet = comparison(columns, table, fixed)
        manifest, first = self.manifests[restored.problem], restored.indices[0]
        path = picture_path(manifest.folder / "grids", first, f"{first:06d}")
        check_place(self.folder, path)
        write_picture(path, sheet, manifest.parts)
        if (writer := tensorboard(trainer)) is not None:
            title = "/".join(filter(None, ("restored", restored.problem)))
            writer.add_image(title, pil_to_tensor(sheet), first)


def told(trainer: Trainer, look: Callable[[], Any]) -> Any:
    """What the first rank finds and tells the others, so that all see the same, or stop where it must.

    Args:
        trainer: The trainer.
        look: What the first rank does.

    Raises:
        ValueError: It could not.
    """
    found = problem = None
    if trainer.is_global_zero:
        try:
            found = look()
        except (OSError, TypeError, ValueError) as error:
            problem = str(error)
    found, problem = trainer.strategy.broadcast((found, problem))
    if problem:
        raise ValueError(problem)
    return found


def deviation(samples: Tensor) -> Tensor:
    """The deviation over samples, shape ``(K, C, H, W)``, shown from black, 0, to white, 1 or more."""
    return samples.std(0, correction=1) * 2 - 1


def _fits(problem: str, data: ImageDataModule, module: Restoration, tally: Tally) -> bool:
    """Whether a tally can be of a run: of an image, solvers, samples and a shape that it has."""
    images, solvers = data.selected(), module.work[problem].solvers
    if tally.index >= len(images) or tally.moments.keys() != solvers.keys():
        return False
    shape = images.shapes(tally.index).get("image", module.prior.shape)
    sizes = [zip(moments.mean.shape, shape, strict=True) for moments in tally.moments.values()]
    return all(sample < module.samples for sample in tally.samples) and all(
        side is None or side == own for size in sizes for own, side in size
    )
