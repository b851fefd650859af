"""One run at a time in a folder: a lock that the system takes back when its process ends in any way."""

import errno
import os
import socket
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from lightning_inv.traces import LOCK

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

HOLDER = b" (process "
"""How the file that is locked begins, where it tells who is at work."""
FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
"""How it is opened: never by way of a link that somebody has put in its place."""
HELD = (errno.EACCES, errno.EAGAIN)
"""What the system answers where another process holds the lock."""
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""What a file system without locks answers."""


@contextmanager
def at_work(folder: Path, shared: bool = False) -> Iterator[None]:
    """Holds a folder, so that no other run writes there meanwhile; where there are no locks, warns.

    Its file is there while a run is at work, and after shards and runs that were killed. The lock is a record
    lock of POSIX: network file systems have it, and workers that outlive their process do not hold it. To
    close the file anywhere in the process would let go of it.

    Args:
        folder: The folder. It is made if need be, and removed at the end if nothing else was written to it.
        shared: Whether others may hold it so at the same time. If not, the file tells who does.

    Raises:
        ValueError: Another run is at work there.
        OSError: Nothing can be written there.
    """
    made, path = not folder.exists(), folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(path, shared)
    except OSError as error:
        reason = "it is a file, no folder" if isinstance(error, FileExistsError) else error.strerror
        raise OSError(f"nothing can be written to {folder}: {reason}.") from error
    try:
        yield
    finally:
        with suppress(OSError):
            if not shared:  # a lock that is shared stays: who comes would be refused while it is looked at
                path.unlink()
        os.close(file)
        if made:
            with suppress(OSError):  # there is something in it
                folder.rmdir()


def _locked(path: Path, shared: bool) -> int:
    """The descriptor of the file, locked."""
    while True:
        file = os.open(path, FLAGS, 0o666)
        try:
            if not _lock(file, path, shared):
                raise ValueError(
                    f"another run is at work in {path.parent}{os.read(file, 500).decode(errors='replace')}; "
                    "wait for it or give --folder another name."
                )
            if _still_there(file, path):
                _check_own(file, path)
                os.ftruncate(file, 0)
                os.write(file, b"" if shared else _self().encode())
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _check_own(file: int, path: Path) -> None:
    """Raises OSError unless a run has made the file, which is to be emptied, and it has no other name."""
    found = os.fstat(file)
    plain = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
    if not plain or os.pread(file, len(HOLDER), 0) not in (b"", HOLDER):
        raise OSError(errno.EINVAL, f"{path} was not made by a run")


def _lock(file: int, path: Path, shared: bool) -> bool:
    """Takes the lock, or changes its kind; whether that was possible at once."""
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        fcntl.lockf(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        if error.errno not in NO_LOCKS:
            raise
        warnings.warn(
            f"{path.parent} cannot be locked ({error.strerror}): see that one run alone writes there.",
            stacklevel=1,  # at one place, and so told once
        )
    return True


def _still_there(file: int, path: Path) -> bool:
    """Whether the file has not been removed, by the run before, since it was opened."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESTALE):
            raise
        return False


def _self() -> str:
    """Who this process is."""
    since = datetime.now().astimezone().isoformat(" ", "minutes")
    return f"{HOLDER.decode()}{os.getpid()} on host {socket.gethostname()} since {since})"
