"""Records of what is done, appended by any number of processes without waiting for one another."""

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lightning_inv.files import own_name
from lightning_inv.regular import open_regular

BLOCK = 20_000
"""The records held in memory while they are read in order."""
LONGEST = 2**24
"""The bytes of a record, at most."""
PLACE = np.dtype([("index", np.int64), ("file", np.int32), ("offset", np.int64)])
"""Where the record of an index is."""

END = b', "crc32": "%08x"}\n'
"""How a line ends: a checksum of all that is before it."""
LENGTH = len(END % 0)

Record = dict[str, Any]


class Journal:
    """Records in the files of one folder: a line is a record, plain data with an ``index``, and a checksum.

    Each process appends to a file of its own, whose name begins with the time it was made at, and no file is
    ever changed otherwise. What a killed process or a full disk has cut off is no record, nor is a line that
    its checksum does not fit. Of several records of one index the last file's last counts.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: BinaryIO | None = None

    def append(self, records: Iterable[Record]) -> None:
        """Adds records; they are on the disk when this returns.

        Raises:
            OSError: They could not be written. What is appended later goes to another file.
        """
        lines = b"".join(_line(record) for record in records)
        file, self._file = self._file or self._new(), None
        try:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror or "could not be written", file.name) from error
        self._file = file

    def _new(self) -> BinaryIO:
        """A file that no other process writes to."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return (self.folder / f"{own_name()}.jsonl").open("xb")

    def indices(self) -> set[int]:
        """The indices that there are records of."""
        return set(self._places()[1]["index"].tolist())

    def read(self, indices: Sequence[int] | range) -> Iterator[Record]:
        """The records of these indices, of those that there are, in ascending order."""
        files, places = self._places()
        places = places[np.isin(places["index"], np.asarray(indices, np.int64))]
        for start in range(0, len(places), BLOCK):
            block = np.sort(places[start : start + BLOCK], order=["file", "offset"])
            found = {}
            for k, own in groupby(block, key=lambda place: place["file"]):
                with _opened(files[k]) as file:
                    for place in own:
                        file.seek(place["offset"])
                        found[int(place["index"])] = _record(file.readline(LONGEST))
            yield from (found[index] for index in sorted(found))

    def _places(self) -> tuple[list[Path], np.ndarray]:
        """The files, and where the record of each index is, in ascending order of indices."""
        files = sorted(self.folder.glob("*.jsonl"))
        found = [np.fromiter(_places_in(path, k), PLACE) for k, path in enumerate(files)]
        places = np.concatenate([np.empty(0, PLACE), *found])[::-1]  # the last counts
        return files, places[np.unique(places["index"], return_index=True)[1]]


def _opened(path: Path) -> BinaryIO:
    """A file of records; what is none is not passed over, since all would be computed again."""
    try:
        return open_regular(path)
    except ValueError as error:
        raise ValueError(f"the records {path} cannot be read: {error}.") from None


def _places_in(path: Path, k: int) -> Iterator[tuple[int, int, int]]:
    """The index and the place of each whole record of a file, the k-th."""
    offset = 0
    with _opened(path) as file:
        while line := file.readline(LONGEST):
            if len(line) == LONGEST:
                raise ValueError(f"{path} is damaged: a line of it has {LONGEST} bytes or more.")
            index = _index(line)
            if index is not None:
                yield index, k, offset
            offset += len(line)


def _line(record: Record) -> bytes:
    text = json.dumps(record, allow_nan=False).encode().removesuffix(b"}")
    return text + END % zlib.crc32(text)


def _record(line: bytes) -> Record:
    record = json.loads(line)
    del record["crc32"]
    return record


def _index(line: bytes) -> int | None:
    """The index of a record; None if it is not whole, or was never one."""
    text = line[:-LENGTH]
    if line[-LENGTH:] != END % zlib.crc32(text):
        return None
    try:
        index = json.loads(line).get("index")
    except (RecursionError, ValueError):  # a checksum can be forged
        return None
    return index if isinstance(index, int) and 0 <= index < 2**63 else None
