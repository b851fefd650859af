"""Checkpoints on disk: plain data, written whole or not at all."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_warn

from lightning_inv.files import atomic_write


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to the disk, renames; reads without unpickling.

    Lightning's own stages in the temporary folder and copies from there, so a full disk leaves a truncated
    file.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        with atomic_write(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable | None = lambda storage, location: storage,
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        try:
            return torch.load(path, map_location=map_location, weights_only=True)
        except FileNotFoundError:
            raise
        except Exception as error:  # torch raises four kinds of errors for damaged files
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ValueError(f"{path} is not a readable checkpoint ({reason}).") from None


LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
"""What a run goes on from: the newest checkpoint, and the one before."""
GOES_ON = ("last", "auto")
"""What ``ckpt_path`` may be instead of a path: the newest checkpoint; the same, if there is one."""


def checkpoint_of(ckpt_path: str | None, folder: Path) -> str | Path | None:
    """The checkpoint that ``ckpt_path`` stands for, in the folder of those of a run; None for none.

    Raises:
        ValueError: There is no checkpoint to go on from, or none is whole.
    """
    if ckpt_path not in GOES_ON:
        return ckpt_path
    found = newest(folder)
    if found is None and ckpt_path == "last":
        raise ValueError(f"there is no run to go on with in {folder.parent}: no {folder / LAST}.")
    return found


def newest(folder: Path) -> Path | None:
    """The newest whole checkpoint of a run; None where there is none at all.

    Where it is that before, because the newest is cut off, a warning says so.

    Args:
        folder: The folder of checkpoints.

    Raises:
        ValueError: There are checkpoints, but none is whole.
    """
    found = [path for path in (folder / LAST, folder / PREVIOUS) if path.exists()]
    whole = next((path for path in found if zipfile.is_zipfile(path)), None)  # its table is at the end
    if found and whole is None:
        raise ValueError(f"{' and '.join(map(str, found))} cannot be read: the files are cut off.")
    if found and whole != found[0]:
        rank_zero_warn(f"{found[0]} cannot be read, it is cut off; going on from {whole}, the one before.")
    return whole
