"""Checkpoints of a training: when they are written, and which one a run goes on from."""

import errno
import os
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from lightning_inv.callbacks.checkpoint_contents import PATHS
from lightning_inv.callbacks.checkpoint_io import read_checkpoint
from lightning_inv.files import remove_parts
from lightning_inv.modules import PriorTraining
from lightning_inv.modules.sharding import finite

NEW, LAST, PREVIOUS = "new.ckpt", "last.ckpt", "previous.ckpt"
"""What a run goes on from: a checkpoint that has not its name yet, the newest, and the one before."""
GOES_ON = ("last", "auto")
"""What ``ckpt_path`` may be instead of a path: the newest checkpoint; the same, if there is one."""
TOGETHER = (SIGTERMException, FloatingPointError)
"""What ends a training on all ranks in the same step."""


def checkpoint_folder(folder: str) -> str:
    """Where the checkpoints of a run in ``folder`` lie."""
    return str(Path(folder) / "checkpoints")


class Checkpoints(ModelCheckpoint):
    """The best checkpoint by validation, and ``last.ckpt``: what a run goes on from.

    Lightning's own ``save_last`` renews that file only when there is a new best. This one is written every so
    many steps, after each validation, at the end, and when an error or SIGTERM interrupts the run; the one
    before it stays as ``previous.ckpt``. A run that is interrupted before its first step writes nothing, so
    that one that diverges loses neither of them, however often it is tried again.

    Args:
        dirpath: The folder.
        monitor: The measure of the best, the lower the better.
        filename: The name of the best, without suffix.
        last_every: Steps between two writings of ``last.ckpt``.

    Raises:
        ValueError: ``last_every`` is not positive, or the name is taken.
    """

    def __init__(
        self,
        dirpath: str = "runs/prior/checkpoints",
        monitor: str = "val/loss",
        filename: str = "best",
        last_every: int = 1000,
    ) -> None:
        if last_every < 1:
            raise ValueError(f"checkpoint.last_every must be at least 1, got {last_every}.")
        if f"{Path(filename).name}.ckpt" in (NEW, LAST, PREVIOUS):
            raise ValueError(f"checkpoint.filename is that of the best, which {filename!r} cannot be.")
        super().__init__(dirpath, filename, monitor, enable_version_counter=False)
        self.last_every = last_every
        self.begun, self.saved, self.went_back = 0, -1, False

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over the best as far as its file lies in this folder, wherever the folder was before."""

        def here(path: str) -> str:
            return str(Path(self.dirpath) / Path(path).name) if path else ""

        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        if all(os.path.isfile(path) and Path(path).name not in (NEW, LAST, PREVIOUS) for path in best):
            paths = {name: here(state_dict[name]) for name in PATHS}
            super().load_state_dict({**state_dict, **paths, "best_k_models": best, "dirpath": self.dirpath})

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            remove_parts(Path(self.dirpath))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        begun, self.begun = Path(trainer.ckpt_path or ""), trainer.global_step
        name = begun.name if begun.parent.resolve() == Path(self.dirpath) else None
        self.saved, self.went_back = self.begun if name == LAST else -1, name == PREVIOUS

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        super().on_train_batch_end(trainer, pl_module, *args)
        stepped = (args[-1] + 1) % trainer.accumulate_grad_batches == 0
        if stepped and trainer.global_step % self.last_every == 0:
            self._save_last(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        training = trainer.state.fn == "fit" and not trainer.sanity_checking
        if training:
            _check_finite(trainer)  # the best is saved first
        super().on_validation_end(trainer, pl_module)
        if training:
            self._save_last(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        self._save_last(trainer)

    def on_exception(self, trainer: Trainer, pl_module: PriorTraining, exception: BaseException) -> None:
        together = isinstance(exception, TOGETHER)
        stepped = trainer.global_step != self.begun and not pl_module.changing
        if stepped and _finite(trainer, together):
            self._save_last(trainer, together)

    def _save_last(self, trainer: Trainer, together: bool = True) -> None:
        if trainer.fast_dev_run:
            return
        new, last, previous = (Path(self.dirpath) / name for name in (NEW, LAST, PREVIOUS))
        if together:
            _check_finite(trainer)
            trainer.save_checkpoint(new, weights_only=False)
        elif isinstance(trainer.strategy, DDPStrategy | SingleDeviceStrategy):
            # What save_checkpoint does, but for waiting: other ranks may be anywhere.
            state = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
            trainer.strategy.save_checkpoint(state, new)
        else:
            return  # a rank has but a part of the weights
        if trainer.is_global_zero:
            # The one before is of another step, and not given up for the one before it.
            if last.exists() and trainer.global_step != self.saved and not self.went_back:
                last.replace(previous)
            new.replace(last)
        self.saved, self.went_back = trainer.global_step, False


def _check_finite(trainer: Trainer) -> None:
    """Raises FloatingPointError on all ranks where weights or moments of one are not finite."""
    if not _finite(trainer):
        raise FloatingPointError(
            f"the weights or what the optimizer keeps of them are not finite at step {trainer.global_step}; "
            "they are not saved, the checkpoints before stay. Lower the learning rate."
        )


def _finite(trainer: Trainer, together: bool = True) -> bool:
    """Whether all weights and moments are finite; on all ranks, if these ask together."""
    states = [value for optimizer in trainer.optimizers for value in optimizer.state.values()]
    moments = [value for state in states for value in state.values() if isinstance(value, Tensor)]
    found = finite([*trainer.lightning_module.parameters(), *moments])
    return trainer.strategy.reduce_boolean_decision(found) if together else found


def checkpoint_of(ckpt_path: str | None, folder: Path) -> str | Path | None:
    """The checkpoint that ``ckpt_path`` stands for, in the folder of those of a run; None for none.

    Raises:
        ValueError: There is no checkpoint to go on from, or none is whole.
    """
    if ckpt_path not in GOES_ON:
        return ckpt_path
    found = newest(folder)
    if found is None and ckpt_path == "last":
        raise ValueError(f"there is no run to go on with in {folder.parent}: no {folder / LAST}.")
    return found


def newest(folder: Path) -> Path | None:
    """The newest whole checkpoint of a run; None where there is none at all.

    That of a run which was killed before it was renamed is newer than ``last.ckpt``. Where it is one before,
    because the newest is cut off or damaged, a warning says so.

    Args:
        folder: The folder of checkpoints.

    Raises:
        ValueError: There are checkpoints, but none is whole.
        OSError: The system does not let one be read, which says nothing of what it holds.
    """
    found = [path for path in (folder / name for name in (NEW, LAST, PREVIOUS)) if path.exists()]
    whole = next(filter(_is_whole, found), None)
    if found and whole is None:
        raise ValueError(f"{' and '.join(map(str, found))} cannot be read: cut off or damaged.")
    if found and whole != found[0]:
        rank_zero_warn(
            f"{found[0]} cannot be read, it is cut off or damaged; going on from {whole}, the one before."
        )
    return whole


def _is_whole(path: Path) -> bool:
    """Whether a file holds a whole checkpoint."""
    try:
        return bool(read_checkpoint(path, mapped=True))
    except FileNotFoundError:
        return False
    except ValueError as error:
        system = error.__context__
        # Where offsets in it are damaged, the answer of the system is EINVAL.
        if isinstance(system, OSError) and system.errno not in (None, errno.EINVAL):
            raise OSError(f"{path} cannot be read: {system.strerror}.") from error
        return False
