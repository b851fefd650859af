"""Files: written whole or not at all, and read without running anything in them."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes its name only when it is complete and on the disk.

    It is written beside its target, so the last step is a rename within one file system; a reader, or a run
    that was killed, never meets half a file.

    Args:
        path: The target; its folder is made if need be.

    Raises:
        OSError: The file could not be written (disk full, no permission), with the target's name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except RuntimeError as error:  # torch reports a full disk so
        raise OSError(f"could not write {path}: {error}. Is the disk full?") from error
    except OSError as error:
        if error.filename not in (None, str(part)):
            raise
        raise OSError(error.errno, error.strerror or "could not be written", str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def file_digest(path: Path) -> str:
    """A hash of what a file holds."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_array(path: Path) -> Tensor:
    """The numbers of a .npy file in double precision; nothing in it is unpickled.

    Raises:
        ValueError: There is no such file, or it holds something else than numbers.
    """
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False).astype(np.float64))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"the array {path} cannot be read: {error}.") from None
