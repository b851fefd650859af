"""The progress bar."""

import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

from lightning_inv.modules import Restored


class StepProgressBar(TQDMProgressBar):
    """A bar of images and, below it, one of the steps of the solver at work.

    Args:
        interval: The least time between two refreshes of the steps, in seconds.
    """

    def __init__(self, interval: float = 0.5) -> None:
        super().__init__()
        self.interval, self._shown = interval, 0.0
        self._todo = self._done = 0
        self._steps: Tqdm | None = None

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_predict_start(trainer, pl_module)
        self.predict_progress_bar.unit = "image"
        data = trainer.datamodule
        self._todo, self._done = sum(len(data.todo(k)) for k in range(len(data.finished))), 0

    def on_predict_batch_start(self, trainer: Trainer, *args: Any) -> None:
        """Lightning's own would begin anew with each problem and count batches."""
        self.predict_progress_bar.total = self._todo  # images of all problems
        self.predict_progress_bar.set_description(self.predict_description)

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Restored, *args: Any
    ) -> None:
        self._done += len(outputs.names) * trainer.world_size  # the other ranks are about as fast
        self.predict_progress_bar.n = min(self._done, self._todo)
        self.predict_progress_bar.refresh()

    def step(self, name: str, step: int, steps: int) -> None:
        """Shows that ``name`` has done ``step`` of ``steps``.

        Args:
            name: The solver.
            step: Steps done.
            steps: Steps in all.
        """
        now = time.monotonic()
        if not self.is_enabled or (now - self._shown < self.interval and step < steps):
            return
        if self._steps is None:
            self._steps = Tqdm(total=steps, position=1, leave=False, unit="step")
        self._shown, self._steps.total, self._steps.n = now, steps, step
        self._steps.set_description_str(name)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._steps is not None:
            self._steps.close()
        super().on_predict_end(trainer, pl_module)
