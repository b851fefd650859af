"""How much better than a linear filter a prior denoises."""

from typing import Any

import torch.nn.functional as F
from lightning import Trainer
from lightning.pytorch.callbacks import Callback

from lightning_inv.callbacks.tables import aligned
from lightning_inv.denoisers import StationaryDenoiser
from lightning_inv.modules import PriorTraining
from lightning_inv.modules.running_means import best_of


class LinearBaseline(Callback):
    """Compares each validation with the Wiener filter of the training images, ``StationaryDenoiser``.

    It is the best linear denoiser that treats all pixels alike. Of whole images that are aligned, such as
    digits in the middle, one that does not may be better.

    ``val_vs_linear/TIME`` is the loss of the network relative to that of the filter, on the same images and
    noise: below 1 the network knows more of the images than their spectrum.

    Args:
        images: How many training images the spectrum is estimated from; 0 for no comparison.

    Raises:
        ValueError: ``images`` is negative.
    """

    def __init__(self, images: int = 256) -> None:
        if images < 0:
            raise ValueError(f"baseline.images must be at least 0, got {images}.")
        self.images = images
        self.linear: StationaryDenoiser | None = None
        self.linear_losses: dict[int, float] = {}
        self.losses: dict[int, float] = {}

    def on_train_start(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        if self.images:
            images = (batch["image"] for batch in trainer.datamodule.examples("train", self.images))
            linear = StationaryDenoiser.estimated(images, pl_module.denoiser.schedule)
            self.linear, self.linear_losses = linear.to(pl_module.device), {}

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: PriorTraining, outputs: Any, batch: dict[str, Any], *_: Any
    ) -> None:
        if self.linear is None or self.linear_losses:
            return  # they are alike at each validation
        for time, t, eps, x_t in pl_module.noisy(batch):
            loss = F.mse_loss(self.linear(x_t, t).eps, eps)
            pl_module.log(f"val_linear/{time:04d}", loss, batch_size=len(eps), sync_dist=True)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        if self.linear is None:
            return
        metrics, times = trainer.callback_metrics, pl_module.validation_times
        if not self.linear_losses:
            self.linear_losses = {time: metrics[f"val_linear/{time:04d}"].item() for time in times}
        losses = pl_module.validated()
        self.losses = dict(zip(times, losses[best_of(losses)].tolist(), strict=True))
        for time in times:
            ratio = self.losses[time] / self.linear_losses[time]
            pl_module.log(f"val_vs_linear/{time:04d}", ratio, sync_dist=True)

    def as_text(self) -> str:
        """The last comparison as a table, empty if there was none."""
        if not self.losses:
            return ""
        rows = [["t", "noise / signal", "filter", "network", "ratio"]]
        for time, loss in self.losses.items():
            schedule, linear = self.linear.schedule, self.linear_losses[time]
            noise = (schedule.sigma[time] / schedule.alpha[time]).item()
            rows.append([str(time), f"{noise:.3g}", f"{linear:.4g}", f"{loss:.4g}", f"{loss / linear:.3f}"])
        return f"loss of eps on validation images, beside the Wiener filter:\n{aligned(rows)}"
