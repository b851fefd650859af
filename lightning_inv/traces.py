"""What tells the folder of a run of ours from any other."""

import os
import stat
from collections.abc import Callable, Container, Mapping
from pathlib import Path

LOCK = ".lock"
"""The file that is locked while a run is at work."""
TOLD = range(40, 500)
"""Its bytes, where it tells who is at work."""
MOST = 2**24
"""The bytes of a file, at most, that are looked at."""


def _head(path: Path) -> bytes:
    """How a file begins; nothing if there is none that can be read. Whoever opens a pipe waits for ever."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(MOST)
    except OSError:
        return b""


def is_locked(folder: Path) -> bool:
    """Whether a run that tells of itself is at work in a folder, or was killed there.

    The file is not read: to close it would let go of the lock, if this process holds it.
    """
    try:
        found = (folder / LOCK).lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size in TOLD


def has_manifest(folder: Path) -> bool:
    """Whether a folder has a manifest of results as ``callbacks.manifest`` writes them."""
    text = _head(folder / "manifest.json")
    return all(key in text for key in (b'\n "seed":', b'\n "solvers":'))


def has_configuration(folder: Path) -> bool:
    """Whether a folder has the configuration that a run has saved, not one that somebody has written."""
    text = _head(folder / "config.yaml")
    return text.startswith(b"# lightning.pytorch==") and b"\nfolder:" in text


def has_checkpoints(folder: Path) -> bool:
    """Whether a folder has checkpoints of a training."""
    return any((folder / "checkpoints").glob("*.ckpt"))


MARKS: Mapping[str, Callable[[Path], bool]] = {
    LOCK: is_locked,
    "manifest.json": has_manifest,
    "config.yaml": has_configuration,
}
"""The files that a run leaves, and how they are known."""


def is_run(folder: str | Path, names: Container[str] | None = None) -> bool:
    """Whether a run of ours is, or was, at work in a folder.

    Args:
        folder: The folder.
        names: The files in it, if they are known: then most folders are not looked at again.
    """
    names = os.listdir(folder) if names is None else names
    return any(name in names and known(Path(folder)) for name, known in MARKS.items())
