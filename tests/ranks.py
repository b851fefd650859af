"""Trainings on the processes that torchrun has started; its argument is the folder of all of them."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from trainings import CONFIG, UNET

from lightning_inv.callbacks.checkpoint_io import SHARES_ON_CPU
from lightning_inv.cli import train
from lightning_inv.data import ImageFolder, image_files

BATCH = 150
"""Images of each of two ranks, so that a step sees the 300 of one."""

SHARED = ["--trainer.strategy=ModelParallelStrategy", "--trainer.strategy.save_distributed_checkpoint=false"]
KINDS = {"0 workers": [], "2 workers": ["--data.num_workers=2"], "shared weights": SHARED}
if not SHARES_ON_CPU:
    del KINDS["shared weights"]
CLUSTER = Path(__file__).parents[1] / "configs" / "cluster"
LARGE = {name.upper(): ["--config", str(CLUSTER / f"{name}.yaml")] for name in ("ddp", "fsdp")}
SAMPLES = ["--samples.count=3", "--samples.steps=2"]


class Terminator(Callback):
    """Asks the last process alone to end, after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.steps and trainer.global_rank == trainer.world_size - 1:
            os.kill(os.getpid(), signal.SIGTERM)


def ends(words: list[str], code: Path) -> None:
    """A training that ends before its last step; writes its code."""
    try:
        train(words)
    except SystemExit as ended:
        code.write_text(str(ended.code))


def verify(images: Path, told: Path) -> None:
    """Verifies a folder with the other rank; writes what this one has looked at, and what is left."""
    looked, verify = [], image_files.verify

    def look(path: Path, *settings: Any) -> Any:
        looked.append(path.name)
        return verify(path, *settings)

    image_files.verify = look
    data = ImageFolder(str(images), 4, 1, skip_broken=True)
    data.setup("fit")
    told.write_text(json.dumps([sorted(looked), [file.name for file in data.files]]))


def main() -> None:
    """Of each kind a straight training, one interrupted twice, and one terminated and gone on with.

    Then one of which the second rank does not see the checkpoint.
    """
    folder, rank = Path(sys.argv[1]), os.environ["RANK"]
    config, unet = (
        folder / f"config{rank}.yaml",
        folder / f"unet{rank}.yaml",
    )  # another rank does not write them
    config.write_text(CONFIG)
    unet.write_text(UNET)
    usual = ["--config", str(config), f"--data.batch_size={BATCH}"]
    for name, more in KINDS.items():
        words = [*usual, *more]
        train([*words, f"--folder={folder / f'straight {name}'}"])
        goes_on = [*words, f"--folder={folder / f'run {name}'}", "--ckpt_path=auto"]
        for steps in (1, 4, 6):  # within a pass, and at its end
            train([*goes_on, f"--trainer.max_steps={steps}"])
        goes_on = [*words, f"--folder={folder / f'terminated {name}'}", "--ckpt_path=auto"]
        terminator = ["--trainer.callbacks=ranks.Terminator", "--trainer.callbacks.steps=3"]
        ends([*goes_on, *terminator], folder / f"code {name} {rank}")
        train(goes_on)
    verify(folder / "images", folder / f"verified{rank}.json")
    train([*usual, f"--folder={folder / 'local0'}", "--trainer.max_steps=1"])
    ends([*usual, f"--folder={folder / f'local{rank}'}", "--ckpt_path=auto"], folder / f"code local {rank}")
    if SHARES_ON_CPU:
        share(folder, usual, unet)


def share(folder: Path, usual: list[str], unet: Path) -> None:
    """A training that begins to share weights and ceases to, and those of a network that has blocks."""
    for steps, more in ((1, SHARED), (3, []), (6, SHARED)):
        goes_on = [*usual, *more, f"--folder={folder / 'changing'}", "--ckpt_path=auto"]
        train([*goes_on, f"--trainer.max_steps={steps}"])
    exact = ["--trainer.accelerator=cpu", "--trainer.precision=32-true"]
    large = ["--config", str(unet), *exact, "--model.ema_half_lives=[1,5]", *SAMPLES]
    for name, more in LARGE.items():
        train([*more, *usual, *large, f"--folder={folder / name}"])


if __name__ == "__main__":
    main()
