"""Checkpoints on disk: plain data, written whole or not at all."""

import traceback
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.strategies import (
    DeepSpeedStrategy,
    FSDPStrategy,
    ModelParallelStrategy,
    Strategy,
)
from torch.torch_version import TorchVersion

from lightning_inv.callbacks.checkpoint_contents import check_contents, kind_of
from lightning_inv.files import atomic_write
from lightning_inv.out_of_memory import of_surroundings

COMPARES = TorchVersion(torch.__version__) >= "2.10"
"""Whether this torch compares the sizes that a checkpoint claims with what it holds (CVE-2026-24747)."""
SHARES_ON_CPU = TorchVersion(torch.__version__) >= "2.8"
"""Whether processes without accelerators can share weights: Gloo took no means before."""
FOREIGN = (
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
)
"""What is raised where a checkpoint is restored that holds other things than those of this training."""
RESTORED = (
    "torch.optim.",
    *(f"lightning.pytorch.callbacks.{name}" for name in ("model_checkpoint", "timer", "early_stopping")),
)
"""Modules whose classes have their settings from a checkpoint."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to the disk, renames; reads without unpickling.

    Lightning's own stages in the temporary folder and copies from there, so a full disk leaves a truncated
    file.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        with atomic_write(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable | None = lambda storage, location: storage,
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        found = read_checkpoint(Path(path), map_location)
        check_contents(Path(path), found)
        return found

    def remove_checkpoint(self, path: str | Path) -> None:
        """Removes a checkpoint; what is none stays.

        Lightning's own removes folders, too, and its callbacks ask for what they may never have written.
        """
        path = Path(path)
        if path.is_file() and zipfile.is_zipfile(path):
            path.unlink()


def read_checkpoint(path: Path, map_location: Any = "cpu", mapped: bool = False) -> dict[str, Any]:
    """What a checkpoint holds; nothing is unpickled.

    Args:
        path: The file.
        map_location: Where tensors go, as in ``torch.load``.
        mapped: Leave the tensors in the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is cut off or damaged, or no checkpoint.
    """
    try:
        _check_archive(path)
        mapped = mapped or not COMPARES  # no claim reaches beyond a file that is mapped
        found = torch.load(str(path), map_location=map_location, weights_only=True, mmap=mapped)
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile and torch raise ten kinds of errors for damaged files
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"{path} is not a readable checkpoint ({reason}).") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no checkpoint of a training: it holds {kind_of(found)}, not a dict.")
    return found


def check_checkpoint(path: Path) -> None:
    """Raises ValueError unless a file is a checkpoint that a training may go on from.

    To be asked before any strategy of Lightning is: some unpickle folders, and files, without asking.
    """
    check_contents(path, read_checkpoint(path, mapped=True))


def check_strategy(strategy: Strategy) -> None:
    """Raises ValueError for a strategy that a training would fail with, or could not be gone on with.

    The checkpoints of some are folders, and only files are read.
    """
    if isinstance(strategy, FSDPStrategy | DeepSpeedStrategy):
        raise ValueError(
            f"trainer.strategy: {type(strategy).__name__} is not supported; ModelParallelStrategy shares the "
            "weights among devices, see configs/cluster/fsdp.yaml."
        )
    if isinstance(strategy, ModelParallelStrategy) and strategy._save_distributed_checkpoint:
        raise ValueError(
            "trainer.strategy: give ModelParallelStrategy save_distributed_checkpoint: false, as "
            "configs/cluster/fsdp.yaml does; a training goes on from whole files only."
        )
    if isinstance(strategy, ModelParallelStrategy) and not _shares(strategy):
        raise ValueError(
            f"trainer.strategy: ModelParallelStrategy needs torch 2.8 on CPUs, this is {torch.__version__}."
        )


def _shares(strategy: ModelParallelStrategy) -> bool:
    return SHARES_ON_CPU or strategy.root_device.type != "cpu"


@contextmanager
def naming(trainer: Trainer) -> Iterator[None]:
    """Lets what goes wrong because of what a checkpoint holds name its file; other errors stay theirs.

    Raises:
        ValueError: The checkpoint is not one of this training.
    """
    try:
        yield
    except FOREIGN as error:
        path, told = str(trainer.ckpt_path), " ".join(str(error).split())
        if told.startswith(path) or trainer.ckpt_path is None or not _of_checkpoint(error, trainer):
            raise
        reason = told if type(error) is ValueError else f"{type(error).__name__}: {told}."
        raise ValueError(f"{path} is no checkpoint of this training: {reason}") from error


def _of_checkpoint(error: Exception, trainer: Trainer) -> bool:
    """Whether an error arose while Lightning restored a checkpoint, or in what has its settings from there.

    That memory is short, or a process is lost, is no fault of a checkpoint.
    """
    connector = trainer._checkpoint_connector
    restores = {connector._restore_modules_and_callbacks.__code__, connector.restore_training_state.__code__}
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if any(frame.f_code in restores for frame in frames):
        return not of_surroundings(error)
    inmost = frames[-1].f_globals.get("__name__", "")
    return inmost.startswith(RESTORED) and not isinstance(error, RuntimeError)


def _check_archive(path: Path) -> None:
    """Raises ValueError unless the archive is whole, as torch does not ask, and no larger than its file."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no regular file")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("parts of it are compressed")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("its parts are larger than the file")
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} in it is damaged")
