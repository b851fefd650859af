"""Trainings on the processes that torchrun has started; its argument is the folder of all of them."""

import sys
from pathlib import Path

from trainings import words

from lightning_inv.cli import train

BATCH = 150
"""Images of each of two ranks, so that a step sees the 300 of one."""


def main() -> None:
    """For loaders without workers and with two: a straight training, and one interrupted twice."""
    folder = Path(sys.argv[1])
    for workers in (0, 2):
        more = [f"--data.batch_size={BATCH}", f"--data.num_workers={workers}"]
        train(words(folder / f"straight{workers}", *more))
        for steps in (1, 3, 6):
            goes_on = ["--ckpt_path=auto", f"--trainer.max_steps={steps}"]
            train(words(folder / f"run{workers}", *more, *goes_on))


if __name__ == "__main__":
    main()
