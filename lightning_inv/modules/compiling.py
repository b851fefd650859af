"""Where torch keeps the code that it has compiled: it unpickles what it finds there."""

import os
import stat
from importlib import import_module
from pathlib import Path
from tempfile import gettempdir, mkdtemp

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""The environment variable that names the folder; torch sets it itself as it is imported."""
HEADERS = "cpp_cache_precompile_headers"
"""A setting of newer torch: headers would lie where it chose all the same."""
USUAL = "torchinductor_"
"""How the name of torch's own choice begins, which is among the temporary files."""


def own_cache() -> None:
    """Lets torch keep compiled code in a folder of this user, unless the environment names another.

    Any user of the machine can foresee the name of torch's own choice, and take it first.
    """
    told = os.environ.get(VARIABLE)
    if told is None or told.startswith(os.path.join(gettempdir(), USUAL)):
        caches = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        os.environ[VARIABLE] = str(_private(Path(caches, "lightning_inv")))
        config = import_module("torch._inductor.config")
        if hasattr(config, HEADERS):
            setattr(config, HEADERS, False)


def _private(folder: Path) -> Path:
    """The folder, made if need be; a new temporary one if it cannot be made or others can write there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = folder.lstat()
    except OSError:
        return Path(mkdtemp(prefix="lightning_inv"))
    closed = stat.S_ISDIR(told.st_mode) and not told.st_mode & 0o022
    ours = not hasattr(os, "getuid") or (closed and told.st_uid == os.getuid())
    return folder if ours else Path(mkdtemp(prefix="lightning_inv"))
