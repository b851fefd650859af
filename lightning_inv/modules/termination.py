"""The end of a run that SIGTERM asks for."""

import signal
import threading
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException


class Termination(Callback):
    """Ends a run on SIGTERM: a training after the present step, on all ranks; a restoration after the batch.

    Lightning's own handler speaks to the other ranks within the handler. It waits there for a rank that is
    dead, or breaks into another exchange between ranks. This one takes a note; ranks that train compare
    notes at the beginning of each step, ranks that restore do not depend on one another.
    """

    def __init__(self) -> None:
        self.asked = False

    def listen(self, trainer: Trainer) -> None:
        """Takes the place of Lightning's handler, which Lightning takes down at the end of the run."""

        def note(signum: int, frame: Any) -> None:
            if not self.asked and (launcher := trainer.strategy.launcher) is not None:
                launcher.kill(signum)  # the processes that this one has started
            self.asked = True

        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, note)

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.listen(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.listen(trainer)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.listen(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        begins = batch_idx % trainer.accumulate_grad_batches == 0
        if begins and trainer.strategy.reduce_boolean_decision(self.asked, all=False):
            raise SIGTERMException

    def on_predict_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if self.asked:  # this batch is on the disk by now
            raise SIGTERMException
