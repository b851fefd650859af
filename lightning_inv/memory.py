"""The most memory that a piece of work takes."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class PeakMemory:
    """Measures from when it is made.

    On an accelerator it is what torch has allocated there, the prior included. On the CPU it is what the
    process holds in memory, libraries included, as Linux counts it (VmHWM). Where no count can begin anew, as
    on other systems, there is no figure.

    Args:
        device: The device that works.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.counts = device, False
        if device.type == "cpu":
            with suppress(OSError):
                CLEAR.write_text("5")  # begin anew: man 5 proc
                self.counts = True
        elif hasattr(self._module, "reset_peak_memory_stats"):
            self._module.reset_peak_memory_stats(device)
            self.counts = True

    @property
    def _module(self) -> Any:
        return torch.get_device_module(self.device)

    def read(self) -> float | None:
        """The peak so far in MiB, or None where it cannot be had."""
        if not self.counts:
            return None
        if self.device.type != "cpu":
            return self._module.max_memory_allocated(self.device) / 2**20
        lines = STATUS.read_text().splitlines()
        return next((int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM")), None)
