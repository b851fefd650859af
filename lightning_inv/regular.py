"""Regular files, which have an end: a pipe is not waited for, and of a device nothing is read."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

FLAGS = getattr(os, "O_NONBLOCK", 0)  # else whoever opens a pipe waits for somebody who writes to it


def open_regular(path: Path) -> BinaryIO:
    """A file opened to be read, whatever has taken its place since it was looked at.

    Raises:
        ValueError: It is no regular file; the message does not name it.
        OSError: There is no such file, or it cannot be opened.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | FLAGS))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError("it is no regular file")
    return file


def read_regular(path: Path, most: int) -> bytes:
    """All that a file holds.

    Args:
        path: The file.
        most: The bytes that it may have.

    Raises:
        ValueError: It is no regular file, or has more bytes; the message names it.
        OSError: There is no such file, or it cannot be read.
    """
    try:
        with open_regular(path) as file:
            content = file.read(most + 1)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None
    if len(content) > most:
        raise ValueError(f"{path} cannot be read: it has more than {most} bytes.")
    return content
