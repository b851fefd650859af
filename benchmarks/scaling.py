"""Measures what a second process brings and writes its part of docs/performance.md.

    python benchmarks/scaling.py

One process, two that know nothing of one another, and two that torchrun has joined take turns; each process
has a core and a thread of its own. Two apart show what the machine gives, two joined what is left of it.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from costs import small_unet
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from pages import environment, table, write_part

from lightning_inv.callbacks import ResultWriter
from lightning_inv.command_line import quiet
from lightning_inv.constraints import Measurement
from lightning_inv.data import ImageDataModule, ImageDataset
from lightning_inv.denoisers import EpsilonDenoiser
from lightning_inv.modules import PriorTraining, Restoration
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Inpainting
from lightning_inv.solvers import DDRM

SHAPE, BATCH, WARM = (3, 32, 32), 16, 3
"""The shape of images, those of a batch of one process, and the batches before time is taken."""
WAYS = {"one process": (1, False), "two apart": (2, False), "two joined": (2, True)}
"""How many processes, and whether they are joined."""


class RandomImages(ImageDataModule):
    """Images of noise."""

    splits = ("train", "test")

    def dataset(self, split: str) -> ImageDataset:
        return RandomDataset(self.limit)


class RandomDataset(ImageDataset):
    """So many images of noise."""

    def __init__(self, count: int) -> None:
        self.names = [f"noise{i}" for i in range(count)]

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = 2 * NoiseStream.of(0, [index], "image").uniform(SHAPE)[0] - 1
        return {"image": image, "name": self.names[index], "index": index}

    def fingerprint(self) -> Any:
        return len(self.names)


class Clock(Callback):
    """Takes the time from the end of the first batches to the end of all."""

    def __init__(self) -> None:
        self.batches, self.began, self.rate = 0, 0.0, 0.0

    def count(self, trainer: Trainer) -> None:
        self.batches += 1
        if self.batches == WARM:
            self.began = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.count(trainer)

    def on_predict_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.count(trainer)

    def on_train_end(self, trainer: Trainer, *_: Any) -> None:
        self.stop(trainer)

    def on_predict_end(self, trainer: Trainer, *_: Any) -> None:
        self.stop(trainer)

    def stop(self, trainer: Trainer) -> None:
        """Waits for the others, as a job does."""
        trainer.strategy.barrier()
        images = (self.batches - WARM) * BATCH * trainer.world_size
        self.rate = images / (time.perf_counter() - self.began)


def train(batches: int, folder: Path) -> float:
    """The images a second of a training."""
    trainer = trainer_of([clock := Clock()], folder, max_steps=batches, limit_val_batches=0)
    model = PriorTraining(EpsilonDenoiser(small_unet().requires_grad_(True), SHAPE))
    trainer.fit(model, RandomImages(batch_size=BATCH, limit=batches * BATCH * trainer.world_size))
    return clock.rate


def restore(batches: int, folder: Path) -> float:
    """The images a second of a restoration, pictures and records written."""
    writer, clock = ResultWriter(str(folder), grid_rows=0), Clock()
    trainer = trainer_of([writer, clock], folder, inference_mode=False)
    prior = EpsilonDenoiser(small_unet(), SHAPE)
    model = Restoration(prior, {"ddrm": DDRM(steps=5)}, Measurement(Inpainting(), 0.1))
    data = RandomImages(batch_size=BATCH, limit=batches * BATCH * trainer.world_size, split="test")
    trainer.predict(model, data, return_predictions=False)
    return clock.rate


JOBS = {"training": train, "restoration": restore}


def trainer_of(callbacks: list[Callback], folder: Path, **settings: Any) -> Trainer:
    """A trainer on the CPU, of as many processes as torchrun has started."""
    return Trainer(
        accelerator="cpu",
        devices=int(os.environ.get("WORLD_SIZE", "1")),
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **settings,
    )


def work(options: argparse.Namespace) -> None:
    """What each process does: its job, on its own core; prints images a second."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(os.environ.get("LOCAL_RANK", options.core)) % len(cores)]})
    torch.set_num_threads(1)
    quiet()
    rate = JOBS[options.job](options.batches, options.folder)
    if os.environ.get("RANK", "0") == "0":
        print(f"images a second: {rate}")


def rate_of(job: str, way: str, batches: int) -> float:
    """The images a second of all processes together."""
    count, joined = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        words = [__file__, "--job", job, "--batches", str(batches)]
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        commands = [
            [*words, "--folder", f"{folder}/{core}", "--core", str(core)]
            for core in range(1 if joined else count)
        ]
        began = [
            subprocess.Popen(
                [sys.executable, *(torchrun if joined else []), *command], stdout=subprocess.PIPE, text=True
            )
            for command in commands
        ]
        said = [process.communicate()[0] for process in began]
    return sum(float(text.split("images a second: ")[1].split()[0]) for text in said)


def main(args: Sequence[str] | None = None) -> None:
    """Measures, then writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=60, help="of each process, in each round")
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"), help="the page to write")
    parser.add_argument("--job", choices=list(JOBS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(args)
    if options.job:
        return work(options)
    rates = {job: {way: [] for way in WAYS} for job in JOBS}
    for _ in range(options.rounds):
        for job, way in itertools.product(JOBS, WAYS):
            rates[job][way].append(rate_of(job, way, options.batches))
    write_part(options.page, "scaling", text(options, rates))
    return None


def text(options: argparse.Namespace, rates: dict[str, dict[str, list[float]]]) -> str:
    """The part of the page."""
    rows = {}
    for job, found in rates.items():
        one, apart, joined = found.values()
        shares = [
            [100 * b / a for a, b in zip(one, apart, strict=True)],
            [100 * c / a for a, c in zip(one, joined, strict=True)],
            [100 * c / b for b, c in zip(apart, joined, strict=True)],
        ]
        rows[job] = [f"{median(one):.1f}", *(told(share) for share in shares)]
    shape = " x ".join(map(str, SHAPE))
    heads = ["job", "images/s of one", "two apart, % of one", "two joined, % of one", "joined, % of apart"]
    return f"""\
## From one process to two

Made by `python benchmarks/scaling.py`, {environment()}. Each process has a core and a thread of its own
and batches of {BATCH} x {shape}, {options.batches} of them, the first {WARM} not timed; a U-Net of 1.2
million parameters; DDRM of 5 steps, pictures and records written. Medians of {options.rounds} rounds in which
all took turns, the least and the largest in brackets. 200 % would be twice as fast. What two processes reach
that know nothing of one another is what the machine has to give; the last column is what is left of that
where gradients are summed in each step, and where processes wait for one another at the end.

{table(heads, rows)}
"""


def told(values: list[float]) -> str:
    """The median with the ends."""
    return f"{median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


if __name__ == "__main__":
    main()
