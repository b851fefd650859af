"""Measures the records of results at the size of large jobs, and writes its part of docs/performance.md.

    python benchmarks/records.py --images 1000000 --writers 1000

Each writer appends the records of its share in batches, as a process of infer.py does; then a run starts,
which reads what is done, and one ends, which writes metrics.csv and summary.json of all images.
"""

import argparse
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pages import environment, table, write_part

from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.report import COLUMNS, report

SOLVERS = ("ddrm", "reddiff", "plug_and_play")


def main(args: Sequence[str] | None = None) -> None:
    """Measures, then writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--writers", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16, help="records that are written at once")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder if none is given")
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"), help="the page to write")
    options = parser.parse_args(args)
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        write_part(options.page, "records", text(options, folder, measure(options, folder)))
    finally:
        shutil.rmtree(folder)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The seconds of each step."""
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(what: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        seconds[what] = time.perf_counter() - began

    with timed("append all, one writer after another"):
        for k in range(options.writers):
            append(Manifest(folder), range(k, options.images, options.writers), options.batch)
    with timed("start: read what is done"):
        done = Manifest(folder).done()
    with timed("end: metrics.csv and summary.json"):
        summary = report(folder, range(options.images), {})
    check(len(done) == options.images, lambda: f"{len(done)} of {options.images} were found")
    check(summary["images"] == options.images, lambda: f"{summary['images']} were reported")
    return seconds


def append(manifest: Manifest, share: range, batch: int) -> None:
    """Appends the records of a share of the images."""
    for start in range(0, len(share), batch):
        manifest.add(record(index) for index in share[start : start + batch])


def record(index: int) -> dict[str, Any]:
    """A record such as infer.py makes of an image and three solvers."""
    solvers = {solver: dict.fromkeys(COLUMNS, 20 + index % 1000 / 77) for solver in SOLVERS}
    return {"index": index, "name": f"image{index:07d}", "solvers": solvers}


def check(right: bool, wrong: Callable[[], str]) -> None:
    """Stops where a measurement would be one of a wrong result."""
    if not right:
        raise RuntimeError(wrong())


def text(options: argparse.Namespace, folder: Path, seconds: dict[str, float]) -> str:
    """The part of the page."""
    size = sum(path.stat().st_size for path in (folder / "records").iterdir())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    rows = {what: [f"{value:.1f}"] for what, value in seconds.items()}
    return f"""\
## Records of {options.images} images by {options.writers} writers

Made by `python benchmarks/records.py --images {options.images} --writers {options.writers}`, {environment()}.
A record is of three solvers; all records are {size / 1e9:.2f} GB in {options.writers} files, written in
batches of {options.batch}, each synchronised with the disk. The process held {memory:.2f} GiB at most.

{table(["step", "s"], rows)}
"""


if __name__ == "__main__":
    main()
