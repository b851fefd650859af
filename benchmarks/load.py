"""Restores many small images by the command line and writes its part of docs/reliability.md.

    python benchmarks/load.py --images 100000

Makes the images and a prior, runs infer.py, runs it again where nothing is left to do, and tells whether time
and memory an image are the same at the end as they were at the beginning. Memory is that of Linux.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from pages import environment, table, write_part
from PIL import Image
from records import record

from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.report import report
from lightning_inv.data import ImageFolder
from lightning_inv.data.image_files import find_images, refused
from lightning_inv.denoisers import EpsilonDenoiser
from lightning_inv.networks import TinyNetwork
from lightning_inv.priors import save_prior

ROOT = Path(__file__).parents[1]
SIDE, FOLDER, FEW, LOOKED_UP = 28, 25_000, 1000, 100_000
"""Pixels of a side, images in a folder, those of the small run, and how often an image is looked up."""
SOLVER = "pseudo_inverse"


class Run(NamedTuple):
    """A run of infer.py.

    Args:
        seconds: From its start to its end.
        pictures: When each picture was written, in seconds from the start, in order.
        memory: Pairs of seconds and of MiB in use, in order.
        peak: The most MiB in use.
    """

    seconds: float
    pictures: np.ndarray
    memory: np.ndarray
    peak: float

    def memory_at(self, share: float) -> float:
        """The MiB in use when such a share of all pictures was written."""
        when = self.pictures[max(0, round(share * len(self.pictures)) - 1)]
        return float(np.interp(when, *self.memory.T))


def main(args: Sequence[str] | None = None) -> None:
    """Measures, then writes the part of the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=64, help="images in a batch")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder if none is given")
    parser.add_argument("--page", type=Path, default=Path("docs/reliability.md"), help="the page to write")
    options = parser.parse_args(args)
    place = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        make(options.images, place)
        make(min(FEW, options.images), place / "small")
        runs = {
            "few": restore(place / "small", options.batch, place / "small" / "all"),
            "all": restore(place, options.batch, place / "all"),
            "again": restore(place, options.batch, place / "all"),
        }
        write_part(options.page, "load", text(options, place, runs))
    finally:
        shutil.rmtree(place)


def make(count: int, place: Path) -> None:
    """Writes grey images of noise, in folders, and a prior."""
    save_prior(place / "prior.safetensors", EpsilonDenoiser(TinyNetwork(), (1, SIDE, SIDE)), {})
    rng = np.random.default_rng(0)
    for index in range(count):
        folder = place / "images" / f"part{index // FOLDER}" / "grey"
        if index % FOLDER == 0:
            folder.mkdir(parents=True)
        pixels = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:07d}.png")


def words(place: Path, batch: int, folder: Path) -> list[str]:
    """The words of infer.py."""
    return [
        f"--config={ROOT / 'configs' / 'solvers' / SOLVER}.yaml",
        f"--model.prior={place / 'prior.safetensors'}",
        "--data=ImageFolder",
        f"--data.root={place / 'images'}",
        f"--data.size={SIDE}",
        "--data.channels=1",
        f"--data.batch_size={batch}",
        f"--folder={folder}",
        "--output.inputs=false",
        "--output.grid_rows=0",
        "--trainer.accelerator=cpu",
        "--trainer.logger=false",
        "--trainer.enable_progress_bar=false",
    ]


def restore(place: Path, batch: int, folder: Path) -> Run:
    """Runs infer.py and watches its memory.

    Raises:
        RuntimeError: It failed.
    """
    command, samples = [sys.executable, str(ROOT / "infer.py"), *words(place, batch, folder)], []
    with tempfile.TemporaryFile("w+") as said:
        began, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            samples += [(time.time() - began, *used)] if (used := memory_of(process.pid)) else []
            time.sleep(0.1)
        seconds = time.perf_counter() - clock
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"infer.py ended with {process.returncode}: {said.read()[-2000:]}")
    found = np.array(samples or [(0, np.nan, np.nan)])
    return Run(seconds, times(folder) - began, found[:, :2], float(found[:, 2].max()))


def memory_of(process: int) -> tuple[float, float] | None:
    """The memory that a process has in use, and the most that it had, in MiB; None if it is not known."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.M))
    return (int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024) if len(found) == 2 else None


def times(folder: Path) -> np.ndarray:
    """When each restored picture was written, in order."""
    return np.sort([path.stat().st_mtime for path in (folder / SOLVER).rglob("*.png")])


def paces(pictures: np.ndarray) -> dict[str, float]:
    """Milliseconds an image in each tenth, and in the first and the last thousand, if there are as many."""
    count = len(pictures)
    ends = {f"tenth {k + 1}": (k * count // 10, (k + 1) * count // 10 - 1) for k in range(10)}
    few = min(FEW, count)
    ends |= {f"first {few}": (0, few - 1), f"last {few}": (count - few, count - 1)}
    return {what: 1e3 * (pictures[b] - pictures[a]) / max(1, b - a) for what, (a, b) in ends.items()}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds that something takes, and what it gives."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def imported(module: str) -> float:
    """The seconds of a process that imports a module."""
    command = [sys.executable, "-c", f"import {module}"]
    return timed(lambda: subprocess.run(command, cwd=ROOT, check=True))[0]


def steps(place: Path) -> dict[str, float]:
    """The seconds of what is done once in a run, by one process that does nothing else."""
    data = ImageFolder(str(place / "images"), SIDE, 1, verify=False)
    manifest, seconds = Manifest(place / "all"), {}
    for module in ("torch", "lightning_inv.cli"):
        seconds[f"import {module}"] = imported(module)
    seconds["find the files"], files = timed(lambda: find_images(data.root))
    seconds["decode all of them, where none is done"], _ = timed(lambda: refused(files, 1))
    seconds["find and name them"], images = timed(data.selected)
    seconds["digest their names and the contents of 10000 at most"], _ = timed(images.fingerprint)
    seconds["read which are done"], _ = timed(manifest.done)
    seconds["write metrics.csv and summary.json"], _ = timed(
        lambda: report(manifest.folder, range(len(files)), {})
    )
    return seconds


def records(counts: Sequence[int], place: Path) -> dict[str, list[str]]:
    """What a look-up and an append take where there are so many records."""
    manifest, rows, held = Manifest(place / "records"), {}, 0
    rng = np.random.default_rng(0)
    for count in counts:
        for start in range(held, count, FEW):
            manifest.add(map(record, range(start, min(start + FEW, count))))
        done, asked = frozenset(manifest.done()), rng.integers(0, 2 * count, LOOKED_UP).tolist()
        if len(done) != count:
            raise RuntimeError(f"{len(done)} of {count} records were found.")
        look_ups = [timed(lambda: [index in done for index in asked])[0] for _ in range(9)]  # noqa: B023
        appends = [timed(lambda: manifest.add([record(0)]))[0] for _ in range(99)]
        ns, ms = 1e9 * min(look_ups) / LOOKED_UP, 1e3 * median(appends)
        rows[f"{count}"], held = [f"{ns:.0f} ns", f"{ms:.2f} ms"], count
    return rows


def written(folder: Path) -> tuple[int, int, int, int]:
    """The files in a folder, their bytes, the bytes of the disk, and the most entries of a folder."""
    files = size = room = most = 0
    for inner, folders, names in os.walk(folder):
        most = max(most, len(folders) + len(names))
        for name in names:
            told = Path(inner, name).stat()
            files, size, room = files + 1, size + told.st_size, room + getattr(told, "st_blocks", 0) * 512
    return files, size, room, most


def text(options: argparse.Namespace, place: Path, runs: dict[str, Run]) -> str:
    """The part of the page."""
    few, whole, again = (runs[name] for name in ("few", "all", "again"))
    count, pace = len(whole.pictures), paces(whole.pictures)
    first, last = (pace[key] for key in list(pace)[-2:])
    files, size, room, most = written(place / "all")
    memory = [whole.memory_at(share) for share in (0, 0.1, 0.5, 1)]
    growth = (memory[3] - memory[1]) / (0.9 * count) * 2**20
    held = (memory[0] - few.memory_at(0)) / max(1, count - len(few.pictures)) * 2**20
    once = {what: [f"{seconds:.2f}"] for what, seconds in steps(place).items()}
    looked = records(sorted({min(FEW, count), count}), place)
    heads = [f"{share} %" for share in (0, 10, 50, 100)]
    return f"""\
### {count} images in one run

Made by `python benchmarks/load.py --images {options.images} --batch {options.batch}`, {environment()}:
noise of {SIDE} x {SIDE} grey pixels in folders of {FOLDER}, restored by the pseudo-inverse, with
`--output.inputs false --output.grid_rows 0`, so that what is measured is all but the solver.

**Time.** The first picture came after {whole.pictures[0]:.1f} s, all after {whole.pictures[-1]:.0f} s and
the end after {whole.seconds:.0f} s. An image took {first:.2f} ms among the first {min(FEW, count)} and
{last:.2f} ms among the last, {last / first:.2f} times as long. By tenths:

{table(["tenth", *map(str, range(1, 11))], {"ms an image": [f"{ms:.2f}" for ms in list(pace.values())[:10]]})}

**Memory.** What the process had in use when a share of the pictures was written. The most was
{whole.peak:.0f} MiB, report and end included:

{table(["pictures", *heads], {"MiB": [f"{mib:.0f}" for mib in memory]})}

From 10 % on it grew by {growth:.0f} bytes an image. At the first picture of a folder of
{len(few.pictures)} images it was {few.memory_at(0):.0f} MiB, so that to know an image, its file, its name and
its place in a batch, takes {held:.0f} bytes.

**The same command again**, with nothing left to do, took {again.seconds:.1f} s and decoded nothing but the
first image. What is done once in a run, each measured alone:

{table(["step", "s"], once)}

**Records.** Whether an image is done, and one more record, synchronised with the disk:

{table(["records", "look-up", "append"], looked)}

**Files.** {files} files, {files / count:.2f} an image, of {size / count:.0f} bytes an image, which take
{room / count:.0f} of the disk; no folder has more than {most} entries.
"""


if __name__ == "__main__":
    main()
