"""Files: written whole or not at all, and read without running anything in them."""

import hashlib
import json
import math
import os
import socket
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lightning_inv.regular import open_regular

ASSETS = Path(__file__).parent / "assets"
"""Files that ship with the package."""
DIGEST = "sha256"
"""The entry of a header with the hash of all that a file of weights holds besides."""
BLOCK = 2**20
"""The bytes of a file that are hashed at once."""
LONGEST_HEADER = 2**21
"""The bytes that the header of a file of weights may have."""
PARTS = f".{'[0-9a-f]' * 32}.part"
"""The names of files that are being written, see ``atomic_write``; a user may have others of the like."""


def own_name() -> str:
    """A name for a file that no other process takes, nor this one again, whatever the clock says.

    Names sort by the time they were made at, as far as the clock is right.
    """
    return f"{time.time_ns()}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex}"


def remove_parts(folder: Path, age: float | None = None) -> None:
    """Removes what killed processes have left of the files that they were writing.

    Args:
        folder: The folder that they were written in.
        age: The seconds that a file must not have been changed for, by the clock of its file system, which
            may be that of another machine; None where nobody else writes there.
    """
    parts = list(folder.glob(PARTS))
    oldest = time_in(folder) - age if parts and age is not None else math.inf
    for part in parts:
        with suppress(FileNotFoundError):  # just renamed by one that runs
            if part.is_file() and part.stat().st_mtime < oldest:
                part.unlink()


def time_in(folder: Path) -> float:
    """The time, in seconds, by the clock that tells when the files of a folder were changed."""
    with NamedTemporaryFile(dir=folder) as file:
        os.utime(file.name)
        return os.stat(file.name).st_mtime


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
    part = parts / f".{uuid4().hex}.part"  # though the target's name be as long as names may be
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


def file_digest(path: Path, most: int | None = None) -> str:
    """A hash of what a file holds, which is read block by block.

    Args:
        path: The file.
        most: The bytes that it may have; as many as there are if None.

    Raises:
        ValueError: It is no regular file, or has more bytes.
    """
    try:
        with open_regular(path) as file:
            if most is not None and (size := file.seek(0, os.SEEK_END)) > most:
                raise ValueError(f"it has {size} bytes, more than {most}")
            file.seek(0)
            found = hashlib.sha256()
            while block := file.read(BLOCK):
                found.update(block)
            return found.hexdigest()
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None


def shipped(path: str | Path) -> Path:
    """The path; of a bare name that is no file, the safetensors file of that name that ships here, if any."""
    path = Path(path)
    if len(path.parts) == 1 and not path.suffix and not path.is_file():
        own = ASSETS / f"{path}.safetensors"
        return own if own.is_file() else path
    return path


def write_weights(
    path: Path, header: Mapping[str, str], weights: Mapping[str, Tensor], parts: Path | None = None
) -> None:
    """Writes a safetensors file with a digest of what it holds, whole or not at all.

    Args:
        path: The file.
        header: The entries of its header.
        weights: The tensors.
        parts: The folder that it is written in, see ``atomic_write``.

    Raises:
        OSError: The file could not be written.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    data = save(weights, {**header, DIGEST: digest_of(header, weights)})
    with atomic_write(path, parts) as file:
        file.write(data)


def digest_of(header: Mapping[str, str], weights: Mapping[str, Tensor]) -> str:
    """A hash of the entries of a header and of tensors that are contiguous on the CPU, without a copy.

    It tells of damage, not of forgery: whoever changes a file can change its digest, too.
    """
    found = hashlib.sha256(json.dumps(sorted(header.items())).encode())
    for name, tensor in sorted(weights.items()):
        found.update(json.dumps([name, str(tensor.dtype), *tensor.shape]).encode())
        found.update(tensor.flatten().view(torch.uint8).numpy())
    return found.hexdigest()


def read_weights(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and the tensors of a safetensors file, whose digest is compared if it has one.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, damaged or of another format.
    """
    if not path.is_file():  # or it is a pipe or a device, which might have no end
        raise FileNotFoundError(f"there is no file of weights {path}.")
    _check_sizes(path)
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            told = header.pop(DIGEST, None)
            whole = told is None or told == digest_of(header, weights)
    except (SafetensorError, RuntimeError, TypeError) as error:  # torch knows not all types, nor all shapes
        raise ValueError(f"{path} is truncated or not a safetensors file: {error}.") from None
    if not whole:
        raise ValueError(f"{path} is damaged: what it holds does not fit its digest.")
    return header, weights


def _check_sizes(path: Path) -> None:
    """Raises ValueError where reading a file of weights would take more time or memory than it is worth."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > LONGEST_HEADER:
        raise ValueError(
            f"{path} is truncated or not a safetensors file: its header would have {length} bytes, "
            f"more than {LONGEST_HEADER}."
        )
    _check_memory(path, path.stat().st_size)


def _check_memory(path: Path, size: int) -> None:
    """Raises ValueError if what a file holds is larger than the memory of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else size
    if size > memory:
        raise ValueError(f"{path} holds {size} bytes, more than the {memory} of the memory of this machine.")


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
