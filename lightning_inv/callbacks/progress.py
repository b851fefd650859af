"""The progress bar."""

import time

from lightning.pytorch.callbacks import TQDMProgressBar


class StepProgressBar(TQDMProgressBar):
    """Lightning's bar over batches, which also says how far the solver is in the present one.

    Args:
        interval: The least time between two refreshes within a batch, in seconds.
    """

    def __init__(self, interval: float = 0.5) -> None:
        super().__init__()
        self.interval, self._shown = interval, 0.0

    def step(self, name: str, step: int, steps: int) -> None:
        """Shows that ``name`` has done ``step`` of ``steps``.

        Args:
            name: The solver.
            step: Steps done.
            steps: Steps in all.
        """
        now = time.monotonic()
        if self.is_enabled and self._predict_progress_bar is not None and now - self._shown >= self.interval:
            self._shown = now
            self.predict_progress_bar.set_postfix_str(f"{name} {step}/{steps}")
