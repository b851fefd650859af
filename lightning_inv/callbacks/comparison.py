"""The comparison at the end of a run of several problems, made from the records of all images."""

from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback

from lightning_inv.callbacks.differences import differences
from lightning_inv.callbacks.journal import Record
from lightning_inv.callbacks.manifest import Manifest, picture_path, write_json
from lightning_inv.callbacks.overview import overview
from lightning_inv.callbacks.pages import as_tables, long_form, page
from lightning_inv.callbacks.pictures import write_picture
from lightning_inv.callbacks.plots import against
from lightning_inv.files import atomic_write
from lightning_inv.modules import Restoration
from lightning_inv.perceptual import NETWORKS, Perceptual

PLOTS = {"evaluations": "nfe", "seconds": "seconds"}


class Comparison(Callback):
    """Writes ``comparison.csv``, ``comparison.md``, ``comparison.png`` and plots, of several problems.

    The picture shows the first images of each problem as every solver restored them; the plots show PSNR
    against effort.

    Args:
        folder: The folder of results.
        reference: The solver that the others are compared with; None for the best of each problem.
        perceptual: Measure LPIPS, FID and KID, too; their weights are downloaded.
        images: Images of each problem that the picture shows.

    Raises:
        ValueError: ``images`` is not positive.
    """

    def __init__(
        self,
        folder: str = "results/demo",
        reference: str | None = None,
        perceptual: bool = False,
        images: int = 2,
    ) -> None:
        if images < 1:
            raise ValueError(f"compare.images must be at least 1, got {images}.")
        self.folder, self.reference, self.perceptual = Path(folder), reference, perceptual
        self.images = images
        self.device = torch.device("cpu")

    def setup(self, trainer: Trainer, pl_module: Restoration, stage: str) -> None:
        self.device = trainer.strategy.root_device
        if pl_module.problems is None and (self.reference is not None or self.perceptual):
            raise ValueError("the settings of compare are for model.problems, but there are none.")
        if self.reference is None:
            return
        names = dict.fromkeys(name for work in pl_module.work.values() for name in work.solvers)
        if self.reference not in names:
            raise ValueError(
                f"compare.reference must be a solver, {', '.join(names)}; got {self.reference!r}."
            )

    def write(self, summaries: dict[str, dict[str, Any]], indices: range) -> str:
        """Writes everything and returns the tables as text.

        Args:
            summaries: The summary of each problem; it learns what is compared here.
            indices: The images to report on.
        """
        measures = Perceptual(self.device) if self.perceptual else None
        for name, summary in summaries.items():
            records = Manifest(self.folder / name).read(indices)
            summary |= differences(summary, records, self.reference)
            if measures is not None:
                add_perceptual(measures, self.folder / name, summary, records)
        for measure in ("evaluations", "seconds"):
            write_picture(self.folder / f"psnr_{PLOTS[measure]}.png", against(measure, summaries))
        shown = {name: Manifest(self.folder / name).read(indices[: self.images]) for name in summaries}
        write_picture(self.folder / "comparison.png", overview(self.folder, shown))
        write_json(self.folder / "summary.json", {"problems": summaries})
        with atomic_write(self.folder / "comparison.csv") as file:
            file.write(long_form(summaries).encode())
        with atomic_write(self.folder / "comparison.md") as file:
            file.write(page(summaries).encode())
        return as_tables(summaries)


def add_perceptual(
    measures: Perceptual, folder: Path, summary: dict[str, Any], records: list[Record]
) -> None:
    """Adds the perceptual measures of each solver to the summary, and why others are missing.

    With several samples it is the first one of each image that is measured, not their mean. Images for
    which the solver has failed are left out.

    Args:
        measures: The measures.
        folder: The folder of results of the problem.
        summary: Its summary.
        records: The records of its images.
    """

    def pictures(of: str, records: list[Record], sample: str = "") -> list[Path]:
        return [picture_path(folder / of, record["index"], record["name"] + sample) for record in records]

    truth = pictures("truth", records)
    if not truth or not truth[0].exists():
        summary["missing"] = dict.fromkeys(NETWORKS, "the true images are not known")
        return
    summary["missing"], found = dict(measures.missing), set()
    for solver, told in summary["solvers"].items():
        some = [record for record in records if record["solvers"].get(solver, {}).get("failed") is None]
        first = (solver, some) if summary["samples"] == 1 else (f"{solver}_samples", some, "/000")
        if not some:
            continue
        numbers, missing = measures.measure(pictures(*first), pictures("truth", some))
        told |= numbers
        summary["missing"] |= missing
        found |= set(numbers)
    summary["perceptual"] = [name for name in NETWORKS if name in found]
