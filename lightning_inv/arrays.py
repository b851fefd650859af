"""Arrays in files of NumPy (.npy): nothing is unpickled, and no header is believed before it is checked."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from lightning_inv.opening import check_pixels
from lightning_inv.regular import open_regular

HEADER = 10_000
"""The bytes of a header, at most, as in NumPy; as many may follow the numbers."""
KINDS = "biuf"
"""What counts as numbers: a complex matrix would lose half of itself, a text may be of any length."""


def read_npy(
    file: Path | BinaryIO, check: Callable[[np.ndarray], object], header: bool = False
) -> np.ndarray:
    """The array in a file.

    Args:
        file: The file, or one that is open.
        check: What raises ValueError for an array of a shape that is too large; it is given one that takes
            no memory.
        header: Whether to give that one, of which shape and type are those in the file.

    Raises:
        ValueError: It is no array of real numbers, not as long as its header says, or too large.
        OSError: There is no such file, or it cannot be read.
    """
    source = open_regular(file) if isinstance(file, Path) else file
    with source:
        empty = _read_header(source)
        check(empty)
        if header:
            return empty
        source.seek(0)
        return npy.read_array(source, allow_pickle=False, max_header_size=HEADER)


def read_array(path: Path) -> Tensor:
    """The numbers of a .npy file in double precision.

    Raises:
        ValueError: There is no such file, or it holds something else than numbers, or more than the pixels
            that an image may have.
    """
    try:
        if not path.is_file():
            raise ValueError("it is no regular file" if path.exists() else "there is no such file")
        values = read_npy(path, lambda empty: check_pixels(1, empty.size))
        return torch.from_numpy(values.astype(np.float64))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"the array {path} cannot be read: {error}.") from None


def _read_header(source: BinaryIO) -> np.ndarray:
    """An array as the header says, with 0 in place of its values; the file is about as long as they need."""
    start = source.read(12)
    if start[6:7] != b"\1" and int.from_bytes(start[8:12], "little") > HEADER:
        raise ValueError(f"its header is longer than {HEADER} bytes")
    source.seek(0)
    major, _ = npy.read_magic(source)
    read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
    shape, _, kind = read(source, max_header_size=HEADER)
    if kind.hasobject:
        raise ValueError("it holds objects, which are not unpickled (allow_pickle=False)")
    if kind.kind not in KINDS:
        raise ValueError(f"it holds {kind}, not real numbers")
    place = source.tell()
    left, needed = source.seek(0, os.SEEK_END) - place, math.prod(shape) * kind.itemsize
    if not needed <= left <= needed + HEADER:
        raise ValueError(f"its header tells of {needed} bytes of numbers {shape}, but {left} follow")
    return np.broadcast_to(np.zeros((), kind), shape)
