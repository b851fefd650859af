"""Writes files in processes that are killed with -9: ``python tests/killed_writes.py FOLDER``.

A script of its own, since a fork of a process that has threads may wait for ever.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from helpers import tiny_prior

from lightning_inv.callbacks import AtomicCheckpointIO
from lightning_inv.callbacks.journal import Journal
from lightning_inv.callbacks.manifest import write_json
from lightning_inv.callbacks.pictures import write_png
from lightning_inv.priors import save_prior

WRITES = {
    "checkpoint": lambda path, value: AtomicCheckpointIO().save_checkpoint(
        {"x": torch.full((9,), value)}, path
    ),
    "picture": lambda path, value: write_png(path, torch.full((1, 8, 8), float(value))),
    "prior": lambda path, value: save_prior(path, tiny_prior(), {"steps": value}),
    "manifest": write_json,
}
STEPS = ("fsync", "replace")


def file(folder: Path, kind: str, step: str) -> Path:
    """The file of a kind, written over by a process that is killed at a step, alone in its folder."""
    return folder / f"{kind}-{step}" / ("a.png" if kind == "picture" else "a")


def killed(step: str, write: Callable[[], None]) -> None:
    """Writes in a process that is killed at a step of it."""
    if not (child := os.fork()):
        for module, name in ((os, "fsync"), (Path, "replace")):
            if name == step:
                setattr(module, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        try:
            write()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def main(folder: Path) -> None:
    """Writes 1 and, killed, 0 over it, for every kind of file and step; then a record beside another."""
    for kind, write in WRITES.items():
        for step in STEPS:
            path = file(folder, kind, step)
            write(path, 1)
            path.with_name("before").write_bytes(path.read_bytes())
            killed(step, lambda write=write, path=path: write(path, 0))
    journal = Journal(folder / "records")
    journal.append([{"index": 0}])
    killed("fsync", lambda: journal.append([{"index": 1}]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
