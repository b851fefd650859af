"""Where torch keeps the code that it has compiled: it unpickles what it finds there."""

import os
from pathlib import Path
from tempfile import mkdtemp

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""The environment variable that names another folder."""


def own_cache() -> None:
    """Lets torch keep compiled code in a folder of this user, unless the environment names one.

    Its usual folder has a name among the temporary files that any user of the machine can foresee, and take.
    """
    if VARIABLE not in os.environ:
        caches = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        os.environ[VARIABLE] = str(_private(Path(caches, "lightning_inv", "compiled")))


def _private(folder: Path) -> Path:
    """The folder, made if need be; a new temporary one if it cannot be made or others can write there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = folder.stat()
    except OSError:
        return Path(mkdtemp(prefix="lightning_inv"))
    ours = not hasattr(os, "getuid") or (told.st_uid == os.getuid() and not told.st_mode & 0o022)
    return folder if ours else Path(mkdtemp(prefix="lightning_inv"))
