"""What is looked at before a training begins, so that it spoils no other one."""

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from lightning import Trainer

from lightning_inv.callbacks.checkpoints import GOES_ON, LAST, NEW, PREVIOUS, Checkpoints, checkpoint_folder
from lightning_inv.callbacks.places import check_files, check_foreign, check_no_restoration, check_place
from lightning_inv.traces import has_checkpoints

TRIED = re.compile(r"\.(lr_find|scale_batch_size)_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.ckpt")
"""Files of Lightning's callbacks that try settings; where one was killed, its file is left in the folder."""


def check_beginning(folder: Path, ckpt_path: str | None, trainer: Trainer) -> None:
    """Finds out whether a training may begin in a folder, and removes what trials of settings left there.

    To be asked by one rank, which holds the folder.

    Args:
        folder: The folder of the run.
        ckpt_path: The checkpoint to go on from, as on the command line.
        trainer: The trainer.

    Raises:
        ValueError: The folder holds results, another training, a link that leads away, or what is no file in
            the place of one.
        OSError: Nothing can be written to the folder of checkpoints.
    """
    checkpoints = Path(checkpoint_folder(str(folder)))
    check_no_restoration(folder)
    check_place(folder, checkpoints / "any")
    check_foreign(folder)
    _check_other_run(folder, checkpoints, ckpt_path, bool(trainer.fast_dev_run))
    own = [callback for callback in trainer.callbacks if isinstance(callback, Checkpoints)]
    _check_files(checkpoints, (NEW, LAST, PREVIOUS, *(f"{callback.filename}.ckpt" for callback in own)))
    _check_writable(checkpoints)
    if not any((checkpoints / name).exists() for name in (NEW, LAST, PREVIOUS)):
        _check_trained(folder, checkpoints, ckpt_path, bool(trainer.fast_dev_run))
    for path in folder.glob(".*.ckpt"):
        if TRIED.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink()


def _check_files(folder: Path, names: Sequence[str]) -> None:
    """Raises ValueError if what is no file is in the place of one; a link is replaced, not followed."""
    check_files(folder, [name for name in names if not (folder / name).is_symlink()])


def _check_writable(folder: Path) -> None:
    """Raises OSError if a folder is there, but no file can be written to it."""
    try:
        if folder.exists():
            with NamedTemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise OSError(f"nothing can be written to {folder}: {error.strerror}.") from error


def _check_other_run(folder: Path, checkpoints: Path, ckpt_path: str | None, trial: bool) -> None:
    """Raises ValueError if a folder holds a run, unless this one, which is no trial, goes on with it."""
    if not has_checkpoints(folder):
        return
    if trial:
        raise ValueError(f"{folder} already holds a run; give trainer.fast_dev_run another --folder.")
    own = ckpt_path in GOES_ON or (ckpt_path and Path(ckpt_path).resolve().parent == checkpoints.resolve())
    if not own:
        raise ValueError(
            f"{folder} already holds a run; give --folder another name, or --ckpt_path last to go on with it."
        )


def _check_trained(folder: Path, checkpoints: Path, ckpt_path: str | None, trial: bool) -> None:
    """Raises ValueError if a training would begin anew where one was, and replace what it has left.

    By ``auto`` a prior is not in the way, since a run may be killed before its first checkpoint: it is kept
    under another name, see ``PriorFile``.
    """
    if ckpt_path not in (None, *GOES_ON):
        return
    if best := [path.name for path in checkpoints.glob("*.ckpt")]:
        raise ValueError(
            f"{checkpoints} holds {best[0]}, but none of {NEW}, {LAST}, {PREVIOUS} to go on from: give "
            f"--ckpt_path {checkpoints / best[0]}, or --folder another name."
        )
    prior = folder / "prior.safetensors"
    if prior.is_file() and (trial or ckpt_path != "auto"):
        raise ValueError(
            f"{prior} would be replaced, and there is no checkpoint to go on from: move it away, or give "
            "--folder another name."
        )
