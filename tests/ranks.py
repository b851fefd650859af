"""Trainings on the processes that torchrun has started; its argument is the folder of all of them."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from trainings import CONFIG

from lightning_inv.cli import train

BATCH = 150
"""Images of each of two ranks, so that a step sees the 300 of one."""

KINDS = {"0 workers": ["--data.num_workers=0"], "2 workers": ["--data.num_workers=2"]}


class Terminator(Callback):
    """Asks the last process alone to end, after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.steps and trainer.global_rank == trainer.world_size - 1:
            os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Of each kind a straight training, one interrupted twice, and one terminated and gone on with."""
    folder = Path(sys.argv[1])
    config = folder / f"config{os.environ['RANK']}.yaml"  # of this rank, which another does not write
    config.write_text(CONFIG)
    for name, more in KINDS.items():
        shared = ["--config", str(config), f"--data.batch_size={BATCH}", *more]
        train([*shared, f"--folder={folder / f'straight {name}'}"])
        for steps in (1, 3, 6):
            goes_on = [f"--folder={folder / f'run {name}'}", "--ckpt_path=auto"]
            train([*shared, *goes_on, f"--trainer.max_steps={steps}"])
        goes_on = [f"--folder={folder / f'terminated {name}'}", "--ckpt_path=auto"]
        try:
            train([*shared, *goes_on, "--trainer.callbacks=ranks.Terminator", "--trainer.callbacks.steps=3"])
        except SystemExit as ended:
            (folder / f"code {name} {os.environ['RANK']}").write_text(str(ended.code))
        train([*shared, *goes_on])


if __name__ == "__main__":
    main()
