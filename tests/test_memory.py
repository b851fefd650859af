"""The peak of memory of a piece of work, not of what came before."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lightning_inv import memory
from lightning_inv.memory import PeakMemory

CPU, ROOT = torch.device("cpu"), Path(__file__).parents[1]


ALONE = """
import torch
from lightning_inv.memory import PeakMemory
before = torch.ones(2**25)  # 128 MiB
del before
idle = PeakMemory(torch.device("cpu"))
low = idle.read()
work = PeakMemory(torch.device("cpu"))
during = torch.ones(2**24)  # 64 MiB
del during
print(work.read() - low)
"""
"""In a process of its own: one that has done much may hold memory free already."""


@pytest.mark.skipif(not memory.CLEAR.exists(), reason="no /proc")
def test_the_peak_is_that_of_the_work() -> None:
    words = [sys.executable, "-c", ALONE]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert 40 < float(done.stdout) < 100


def test_where_it_cannot_be_counted_there_is_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "absent" / "clear_refs")
    assert PeakMemory(CPU).read() is None


class Counting:
    """The module of a device that counts what it allocates."""

    def __init__(self) -> None:
        self.peak = 7 * 2**20

    def reset_peak_memory_stats(self, device: torch.device) -> None:
        self.peak = 2**20

    def max_memory_allocated(self, device: torch.device) -> int:
        return self.peak


@pytest.mark.parametrize(("module", "found"), [(Counting(), 1.0), (object(), None)])
def test_an_accelerator_is_asked_if_it_counts(
    monkeypatch: pytest.MonkeyPatch, module: object, found: float | None
) -> None:
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    assert PeakMemory(torch.device("meta")).read() == found
