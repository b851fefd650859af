"""What files hold, decoded without a file on the disk."""

import io
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lightning_inv.regular import open_regular


class FileContents:
    """The bytes of a file that was read elsewhere; decoders take it in place of a path.

    Args:
        path: Where it was read; errors name it, and its suffix tells its kind.
        contents: Its bytes.
    """

    def __init__(self, path: str, contents: bytes) -> None:
        self.path, self.contents = path, contents

    def __str__(self) -> str:
        return self.path

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix

    def open(self, mode: str = "rb") -> io.BytesIO:
        """The bytes from their beginning, as of a file opened for reading."""
        return _Named(self)


class _Named(io.BytesIO):
    """Bytes that are called by the name of their file in the messages of libraries."""

    def __init__(self, file: FileContents) -> None:
        super().__init__(file.contents)
        self.path = file.path

    def __repr__(self) -> str:
        return repr(self.path)


def opened(file: Path | FileContents) -> BinaryIO:
    """A file opened to be read, if it is a regular one."""
    return open_regular(file) if isinstance(file, Path) else file.open()


def readable(file: Path | FileContents) -> Path | io.BytesIO:
    """What libraries that take a path or an open file are given."""
    return file if isinstance(file, Path) else file.open()
