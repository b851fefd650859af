"""What is looked at before a training begins, so that it spoils no other one."""

from pathlib import Path

from lightning import Trainer

from lightning_inv.callbacks.checkpoints import GOES_ON, checkpoint_folder
from lightning_inv.callbacks.places import check_foreign, check_no_results, check_place


def check_beginning(folder: Path, ckpt_path: str | None, trainer: Trainer) -> None:
    """Finds out whether a training may begin in a folder; to be asked by one rank, which holds it.

    Args:
        folder: The folder of the run.
        ckpt_path: The checkpoint to go on from, as on the command line.
        trainer: The trainer.

    Raises:
        ValueError: The folder holds results, another training, or a link that leads away.
    """
    checkpoints = Path(checkpoint_folder(str(folder)))
    check_no_results(folder)
    check_place(folder, checkpoints / "any")
    check_foreign(folder)
    _check_other_run(folder, checkpoints, ckpt_path, bool(trainer.fast_dev_run))


def _check_other_run(folder: Path, checkpoints: Path, ckpt_path: str | None, trial: bool) -> None:
    """Raises ValueError if a folder holds a run, unless this one, which is no trial, goes on with it."""
    if not any(checkpoints.glob("*.ckpt")):
        return
    if trial:
        raise ValueError(f"{folder} already holds a run; give trainer.fast_dev_run another --folder.")
    own = ckpt_path in GOES_ON or (ckpt_path and Path(ckpt_path).resolve().parent == checkpoints.resolve())
    if not own:
        raise ValueError(
            f"{folder} already holds a run; give --folder another name, or --ckpt_path last to go on with it."
        )
