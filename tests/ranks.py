"""Trainings on the processes that torchrun has started; its argument is the folder of all of them."""

import os
import sys
from pathlib import Path

from trainings import CONFIG

from lightning_inv.cli import train

BATCH = 150
"""Images of each of two ranks, so that a step sees the 300 of one."""

KINDS = {"0 workers": ["--data.num_workers=0"], "2 workers": ["--data.num_workers=2"]}


def main() -> None:
    """Of each kind a straight training, and one interrupted twice."""
    folder = Path(sys.argv[1])
    config = folder / f"config{os.environ['RANK']}.yaml"  # of this rank, which another does not write
    config.write_text(CONFIG)
    for name, more in KINDS.items():
        shared = ["--config", str(config), f"--data.batch_size={BATCH}", *more]
        train([*shared, f"--folder={folder / f'straight {name}'}"])
        for steps in (1, 3, 6):
            goes_on = [f"--folder={folder / f'run {name}'}", "--ckpt_path=auto"]
            train([*shared, *goes_on, f"--trainer.max_steps={steps}"])


if __name__ == "__main__":
    main()
