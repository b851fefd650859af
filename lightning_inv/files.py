"""Files: written whole or not at all, and read without running anything in them."""

import hashlib
import os
import socket
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

ASSETS = Path(__file__).parent / "assets"
"""Files that ship with the package."""


def own_name() -> str:
    """A name for a file that no other process takes; names sort by the time they were made at."""
    return f"{time.time_ns()}-{socket.gethostname()}-{os.getpid()}"


@contextmanager
def atomic_write(path: Path, parts: Path | None = None) -> Iterator[BinaryIO]:
    """A binary file that takes its name only when it is complete and on the disk.

    It is written on the file system of its target, so the last step is a rename; a reader, or a run that was
    killed, never meets half a file.

    Args:
        path: The target; its folder is made if need be.
        parts: The folder that it is written in, on that file system; that of the target if None.

    Raises:
        OSError: The file could not be written (disk full, no permission), with the target's name.
    """
    path = Path(path)
    parts = path.parent if parts is None else parts
    for folder in (path.parent, parts):
        folder.mkdir(parents=True, exist_ok=True)
    part = parts / f".{path.name}.{uuid4().hex[:8]}.part"
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


def shipped(path: str | Path) -> Path:
    """The path; of a bare name that is no file, the safetensors file of that name that ships here, if any."""
    path = Path(path)
    if len(path.parts) == 1 and not path.suffix and not path.is_file():
        own = ASSETS / f"{path}.safetensors"
        return own if own.is_file() else path
    return path


def read_weights(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and the tensors of a safetensors file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated or of another format.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of weights {path}.")
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated or not a safetensors file: {error}.") from None


def load_weights(module: nn.Module, path: Path) -> None:
    """Gives a module the weights of a safetensors file, in 32 bits.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, of another format, or its weights are those of another module.
    """
    _, weights = read_weights(path)
    try:
        module.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except RuntimeError as error:
        reason = textwrap.shorten(str(error), 400, placeholder=" ...")  # torch lists every weight
        raise ValueError(f"{path} does not hold weights of {type(module).__name__}: {reason}") from None
