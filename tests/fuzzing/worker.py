"""The process that has files read: what it watches, and how it tells of it.

It reports over a pipe, a line an input, so that the harness knows which one it was if it hangs or dies.
"""

import faulthandler
import gc
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RUNS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "pty.spawn",
    "socket.connect",
)
CHANGES = ("os.remove", "os.rmdir", "os.rename", "os.mkdir")
JUMP, GROWTH, ADDRESSES = 500 * 2**20, 300 * 2**20, 4 * 2**30
"""Bytes that one input may take, those that all together may keep, and what addresses are given at most."""
WARM = 300
"""Inputs before memory is compared with."""


class EffectError(Exception):
    """An input had a command run, or something written elsewhere."""


class MemoryGrowthError(Exception):
    """An input took or kept too much memory."""


class Worker:
    """Has inputs read and keeps those that show a fault, once for each fault.

    Args:
        name: The name of the target.
        target: The target.
        box: The folder in which it reads and writes, and out of which it must not.
        findings: Where faults are kept.
        pipe: The descriptor to report to; None for no reports.
    """

    def __init__(self, name: str, target: Any, box: Path, findings: Path, pipe: int | None = None) -> None:
        self.name, self.target, self.box, self.findings, self.pipe = name, target, box, findings, pipe
        self.known = {path.stem for path in findings.glob("*.txt")}
        self.inputs = self.base = 0
        self.heard: list[str] = []
        self.watching = False
        sys.dont_write_bytecode = True
        sys.addaudithook(self._hear)

    def limit(self) -> None:
        """Gives this process an end of its addresses, and a voice when it is ended."""
        faulthandler.enable((self.box / "trace").open("w"), all_threads=False)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESSES,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def run(self, suffix: str, contents: bytes) -> str | None:
        """Has an input read; returns what names its fault, None if there is none."""
        path = self.box / f"input{suffix}"
        path.write_bytes(contents)
        self._tell(event="start", input=path.name)
        before, begun, accepted, error = self._memory(anew=True), time.process_time(), False, None
        try:
            with self._listening():
                accepted = self.target.attack(path)
            self._judge(before)
        except Exception as caught:
            error = caught
        peak, seconds = self._memory()[1], time.process_time() - begun
        fault = None if error is None else self._keep(suffix, contents, error)
        self._tell(event="end", accepted=accepted, fault=fault, seconds=seconds, peak=peak)
        self.inputs += 1
        return fault

    def _judge(self, before: tuple[int, int]) -> None:
        """Raises what the input has done besides answering."""
        if self.heard:
            raise EffectError(self.heard[0])
        now, peak = self._memory()
        if peak - before[0] > JUMP:
            raise MemoryGrowthError(f"{(peak - before[0]) >> 20} MiB for one input")
        if self.inputs == WARM:
            self.base = now
        if self.base and now - self.base > GROWTH:
            gc.collect()
            kept, self.base = self._memory()[0] - self.base, now
            if kept > GROWTH:
                raise MemoryGrowthError(f"{kept >> 20} MiB kept since the first {WARM} inputs")

    @contextmanager
    def _listening(self) -> Iterator[None]:
        self.heard, self.watching = [], True
        try:
            yield
        finally:
            self.watching = False

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Notes what an input does beside reading."""
        if not self.watching:
            return
        if event in RUNS and args[0] != sys.executable:  # libraries ask that about themselves
            self.heard.append(f"{event} {args}")
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        changes = event in CHANGES and args[-1] == -1  # or it is below a folder that was told of before
        if (writes or changes or event == "shutil.rmtree") and not self._within(args[0], event):
            self.heard.append(f"{event} {args}")

    def _within(self, path: Any, event: str) -> bool:
        """Whether an input may do so."""
        if not isinstance(path, str | bytes | os.PathLike):
            return True
        place = os.path.abspath(os.fsdecode(path))
        own = (str(self.box / "job" / "results") + "/",) if event == "shutil.rmtree" else (str(self.box),)
        return place.startswith((*own, os.devnull, f"{tempfile.gettempdir()}/tmp"))

    def _memory(self, anew: bool = False) -> tuple[int, int]:
        """The memory that the process has, and the most it had since it was asked anew."""
        try:
            if anew:
                Path("/proc/self/clear_refs").write_text("5")
            told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            return tuple(int(told[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))
        except (OSError, KeyError):  # no Linux
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            return most, most

    def _keep(self, suffix: str, contents: bytes, error: Exception) -> str:
        """Writes an input with a fault, the smallest there is; returns what names the fault."""
        name = f"{self.name}-{signature(error)}"
        path = self.findings / f"{name}{suffix}"
        if not path.exists() or len(contents) < path.stat().st_size:
            path.write_bytes(contents)
            story = "".join(traceback.format_exception(error, limit=-25))
            (self.findings / f"{name}.txt").write_text(f"{self.name} {path.name}\n{story}", errors="replace")
        return name

    def _tell(self, **what: Any) -> None:
        if self.pipe is not None:
            os.write(self.pipe, json.dumps(what).encode() + b"\n")


def signature(error: Exception) -> str:
    """What tells a fault from others: the kind of error and where it arose."""
    cause = error.__cause__ or error
    frames = traceback.extract_tb(cause.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.name}" for frame in frames]
    ours = [place for place, frame in zip(places, frames, strict=True) if "lightning_inv" in frame.filename]
    told = (
        "".join(filter(str.isalpha, str(error)))[:40]
        if error.__class__.__module__.startswith("fuzzing")
        else ""
    )
    text = f"{type(error).__name__} {ours[-3:]} {places[-1:]} {told}"
    return f"{type(error).__name__.lower()}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
