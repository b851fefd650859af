"""What a run of other settings has left is removed, and nothing else that lies beside it."""

import os
import re
from collections import deque
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path

from lightning_inv.callbacks.places import DONE, is_picture

OWN = r"[0-9]+-.+-[0-9]+-[0-9a-f]{32}"
"""A name of ``files.own_name``."""
WRITTEN = {
    "records": re.compile(rf"{OWN}\.jsonl"),
    "tallies": re.compile(rf"[0-9]{{9}}-{OWN}\.safetensors"),
}
"""The names of files in folders that tell what is done; all others hold pictures."""
RUN = re.compile(r"manifest\.json|config\.yaml|.+\.ckpt", re.DOTALL)
"""What only a run of its own has."""


def holds_anything(path: Path) -> bool:
    """Whether a folder, or one in it, has a file; a link to a file is none."""
    found = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    return any(not file.is_symlink() for file in found)


def check_own(path: Path) -> None:
    """Raises ValueError if a folder of results holds what must not be removed, or would be taken for ours."""
    deque(_own(path, ()), maxlen=0)


def clear(path: Path, known: Container[str]) -> None:
    """Removes a folder of results but for files that no run has written.

    Args:
        path: The folder.
        known: Where pictures of images lie in a folder of them: others are of somebody else.

    Raises:
        ValueError: As ``check_own``.
        OSError: It tells what is done, and cannot be removed.
    """
    for file in _own(path, known):
        try:
            file.unlink()
        except OSError:
            if path.name in DONE:
                raise
    for folder, _, _ in os.walk(path, topdown=False):
        with suppress(OSError):  # there is something of somebody else in it
            os.rmdir(folder)


def _own(path: Path, known: Container[str]) -> Iterator[Path]:
    """The files of a folder that a run has written."""
    if path.is_symlink():
        return
    records = WRITTEN.get(path.name)
    for folder, folders, names in os.walk(path):
        if runs := [name for name in (*folders, *names) if RUN.fullmatch(name)]:
            raise ValueError(
                f"{folder} holds a run of its own ({runs[0]}), which is not removed: move it away, or give "
                "--folder another name."
            )
        for name in names:
            file = Path(folder, name)
            if records is None:
                own = is_picture(file.relative_to(path).as_posix(), path.name, known)
            elif not (own := records.fullmatch(name)):
                raise ValueError(
                    f"{file} was not written by a run: move it away, or give --folder another name."
                )
            if own:
                yield file
