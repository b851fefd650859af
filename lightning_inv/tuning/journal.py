"""The file that a search is kept in: mended where its end was cut off, refused where it is damaged."""

import json
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_inv.callbacks.journal import END, LENGTH

FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
"""How it is opened: never by way of a link that somebody has put in its place."""
WORKER = re.compile(rb'(?<="worker_id": ")[^"]+')
"""What differs from search to search in the first line."""
FIRST = b'{"op_code": 0, "worker_id": "", "study_name": "tune", "directions": ['
"""How the first line begins, but for that."""


class TrialJournal:
    """What optuna's ``JournalStorage`` reads and writes: a line is a step of a search, with a checksum.

    The checksum is of all lines so far. A search has its folder to itself (``locks.at_work``), so the file is
    read once. Of a last line that is not whole, by a killed process or a full disk, what there is is removed;
    all before it stays. Where there is no other line, it has to begin as the first does.

    Args:
        path: The file, made if need be.

    Raises:
        ValueError: It is damaged elsewhere than in its last line, or that of something else.
        OSError: It cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._logs: list[dict[str, Any]] = []
        self._size = self._crc = 0
        with open(path, "rb", opener=lambda name, _: os.open(name, FLAGS | os.O_CREAT, 0o666)) as file:
            *lines, rest = file.read().split(b"\n")
        if not lines and not _begins(rest):
            raise ValueError(
                f"{path} is the journal of no search: move it away, or give --folder another name."
            )
        for number, line in enumerate(lines, 1):
            if not self._take(line + b"\n"):
                if number < len(lines) or number == 1:
                    raise ValueError(
                        f"{path} is damaged in line {number}: move it away to begin the search anew, with "
                        "preset.yaml and trials.csv."
                    )
                break
        self.append_logs([])

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """The steps from this number on."""
        return self._logs[log_number_from:]

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        """Adds steps, after the last that is whole; they are on the disk when this returns.

        Raises:
            OSError: They could not be written.
        """
        crc, lines = self._crc, []
        for log in logs:
            text = json.dumps(log).encode().removesuffix(b"}")
            crc = zlib.crc32(text, crc)
            lines.append(text + END % crc)
        try:
            with open(self.path, "r+b", opener=lambda name, _: os.open(name, FLAGS)) as file:
                file.truncate(self._size)
                file.seek(self._size)
                file.write(b"".join(lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror or "could not be written", str(self.path)) from error
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> bool:
        """Holds what a line says, if it is whole; whether it is."""
        text = line[:-LENGTH]
        crc = zlib.crc32(text, self._crc)
        if line[-LENGTH:] != END % crc:
            return False
        try:
            log = json.loads(line)
        except (RecursionError, ValueError):  # a checksum can be forged
            return False
        self._logs.append(log)
        self._size, self._crc = self._size + len(line), crc
        return True


def _begins(text: bytes) -> bool:
    """Whether a line that was cut off, or was not begun, can have been the first."""
    start = WORKER.sub(b"", text, 1)
    return start[: len(FIRST)] == FIRST[: len(start)]
