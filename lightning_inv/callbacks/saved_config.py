"""The configuration of a run, beside its results."""

from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback

from lightning_inv.files import atomic_write

STARTS = {"ckpt_path": None, "output.overwrite": False}
"""Settings of one start of a run."""


class SaveConfig(SaveConfigCallback):
    """Saves the configuration, in place of that of a run before, whole or not at all.

    It lies in the folder of the run, though a logger have another. What belongs to this start alone, where it
    goes on from and whether it clears what is there, is not saved.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.is_global_zero and not self.already_saved:
            config = self.config.clone()
            for key in STARTS.keys() & set(config.keys()):
                config[key] = STARTS[key]
            with atomic_write(Path(self.config.folder) / self.config_filename) as file:
                file.write(self.parser.dump(config, skip_none=False).encode())
            self.already_saved = True
