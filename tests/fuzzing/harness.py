"""Starts workers, ends those that hang, starts them again, and counts.

Run as a script it is a worker: name, engine, number, seconds, box, findings, descriptor.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HANG, STUCK = 5.0, 120.0
"""Seconds of the processor, and of the clock, after which an input hangs."""
PATIENCE = {"command": 25.0}
"""The same where a valid input takes seconds."""
STARTS = 600.0
"""Seconds in which a worker begins."""
SMALL = {"LIGHTNING_INV_MAX_PIXELS": "2000000"}
"""What keeps images that are large, but allowed, from looking like faults."""
FAILED = "failed"
"""What ended a worker that did not end by an input."""
NAMES = ["image", "prior", "checkpoint", "results", "config", "command"]


@dataclass
class Row:
    """What was found of one target with one engine."""

    target: str
    engine: str
    inputs: int = 0
    accepted: int = 0
    faults: set[str] = field(default_factory=set)
    seconds: float = 0.0
    peak: int = 0
    slowest: float = 0.0
    restarts: int = 0
    last: str = ""

    @property
    def findings(self) -> int:
        """How many different faults there are."""
        return len(self.faults)

    def count(self, told: dict) -> None:
        """Adds an input."""
        self.inputs += 1
        self.accepted += told["accepted"]
        self.peak, self.slowest = max(self.peak, told["peak"]), max(self.slowest, told["seconds"])
        if told["fault"]:
            self.faults.add(told["fault"])


def fuzz(
    targets: Sequence[str], engines: Sequence[str], seconds: float, seed: int, findings: Path
) -> Iterator[Row]:
    """Attacks each target with each engine, one process at a time.

    Args:
        targets: The names of the targets.
        engines: The names of the engines.
        seconds: The time for all; that in which the first process of each starts is not counted.
        seed: All inputs follow from it, but not how many there are.
        findings: A folder for inputs that show a fault.
    """
    findings.mkdir(parents=True, exist_ok=True)
    rows = [Row(target, engine) for target in targets for engine in engines]
    for row in rows:
        share = seconds / len(rows)
        while (left := share - row.seconds) > 0 and _slot(row, f"{seed}-{row.restarts}", left, findings):
            row.restarts += 1
        yield row


def _slot(row: Row, number: str, seconds: float, findings: Path) -> bool:
    """Runs a worker; whether it died and another may go on."""
    shared = Path("/dev/shm")  # files that live for milliseconds
    box = Path(tempfile.mkdtemp(dir=shared if os.access(shared, os.W_OK) else None))
    reader, writer = os.pipe()
    words = [row.target, row.engine, number, str(seconds), str(box), str(findings.resolve()), str(writer)]
    env = {
        **os.environ,
        **SMALL,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
    }
    with (box / "said").open("w") as said:
        worker = subprocess.Popen(
            [sys.executable, __file__, *words], pass_fds=[writer], env=env, cwd=box, stdout=said, stderr=said
        )
    os.close(writer)
    try:
        why = _watch(row, worker, reader)
        if why == FAILED:
            raise RuntimeError(f"a worker failed: {(box / 'said').read_text()[-3000:]}")
        if why:
            row.faults.add(_keep(row, box, why, findings))
        return bool(why)
    finally:
        worker.kill()
        worker.wait()
        os.close(reader)
        shutil.rmtree(box, ignore_errors=True)


def _watch(row: Row, worker: subprocess.Popen, reader: int) -> str:
    """Counts what a worker tells; why it ended in the midst of an input; empty if its time was over."""
    rest, state, began, used, started = b"", None, time.monotonic(), 0.0, False
    while True:
        ready, _, _ = select.select([reader], [], [], 0.5)
        text = os.read(reader, 65536) if ready else None
        if text == b"":
            code = worker.wait()
            fault = f"died with {code}" if state == "start" or code < 0 else FAILED
            return fault if code else ""
        *lines, rest = (rest + (text or b"")).split(b"\n")
        for line in lines:
            told = json.loads(line)
            state = told["event"]
            if state == "end":
                row.count(told)
            else:
                row.last = told["input"]
        elapsed = time.monotonic() - began
        if lines:
            row.seconds += elapsed if started or row.restarts else 0.0
            began, used, started = time.monotonic(), _used(worker.pid), True
            continue
        if state == "start" and (
            _used(worker.pid) - used > PATIENCE.get(row.target, HANG) or elapsed > STUCK
        ):
            worker.send_signal(signal.SIGABRT)  # it says where it is
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(10)
            return f"hung for {elapsed:.0f} s"
        if state is None and elapsed > STARTS:
            return FAILED


def _used(pid: int) -> float:
    """Seconds of the processor that a process has had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    except OSError:  # no Linux, or gone
        return time.monotonic()


def _keep(row: Row, box: Path, why: str, findings: Path) -> str:
    """Keeps the input at which a worker ended."""
    trace = (box / "trace").read_text() if (box / "trace").exists() else ""
    places = [
        line.split(",")[0].rpartition("/")[2] + line.rpartition(" in ")[2]
        for line in trace.splitlines()
        if "File" in line
    ]
    kind = why.split()[0]
    name = f"{row.target}-{kind}-{_number(places[:2]):06x}"
    if (last := box / row.last).is_file():
        shutil.copy(last, findings / f"{name}{last.suffix}")
    said = (box / "said").read_text(errors="replace")[-2000:]
    (findings / f"{name}.txt").write_text(f"{row.target} {why}\n{trace}\n{said}")
    return name


def _number(places: list[str]) -> int:
    """A short number of where a worker was."""
    return zlib.crc32(" ".join(places).encode()) & 0xFFFFFF


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    heads = (
        "target",
        "engine",
        "inputs",
        "accepted",
        "findings",
        "restarts",
        "seconds",
        "peak MiB",
        "slowest s",
    )
    cells = [
        (
            *(row.target, row.engine, row.inputs, row.accepted, row.findings, row.restarts),
            *(f"{row.seconds:.0f}", row.peak >> 20, f"{row.slowest:.2f}"),
        )
        for row in rows
    ]
    lines = [[str(cell) for cell in line] for line in (heads, *cells)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines)


def work(name: str, engine: str, number: str, seconds: str, box: str, findings: str, pipe: str) -> None:
    """A worker's life."""
    if name == "toy":
        from fuzzing.toys import TARGETS
    elif engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["lightning_inv"]):
            from fuzzing.targets import TARGETS
    else:
        from fuzzing.targets import TARGETS
    from fuzzing.engines import ENGINES, Mutator
    from fuzzing.worker import Worker

    worker = Worker(name, TARGETS[name], Path(box), Path(findings), int(pipe))
    worker.limit()
    mutator = Mutator(TARGETS[name])
    ENGINES[engine](worker, mutator, f"{name}-{engine}-{number}", time.monotonic() + float(seconds))


if __name__ == "__main__":
    work(*sys.argv[1:])
