"""Training of a prior."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from lightning_inv.denoisers import Denoiser, EpsilonDenoiser
from lightning_inv.noise import NoiseStream, generator


class PriorTraining(LightningModule):
    """Trains a denoiser on images; its product is the running mean of the weights.

    Source: Ho et al. (2020), https://arxiv.org/abs/2006.11239, algorithm 1.

    Args:
        denoiser: The denoiser to train.
        optimizer: The optimizer, without its parameters.
        lr_scheduler: The learning-rate schedule, without its optimizer, stepped once a training step.
        ema_decay: The decay of the running mean of the weights; step n uses at most
            (1 + n) / (10 + n).
        noise_levels: Validation looks at this many times, evenly spread over 1..T.
        compile: Compile the network with ``torch.compile``.
        channels_last: Keep images and weights in the channels-last memory format.
        seed: Times and noise follow from it, the step and the rank.

    Raises:
        ValueError: A number is out of its range.
    """

    def __init__(
        self,
        denoiser: EpsilonDenoiser,
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=2e-4, weight_decay=0.0),
        lr_scheduler: LRSchedulerCallable | None = None,
        ema_decay: float = 0.999,
        noise_levels: int = 8,
        compile: bool = False,
        channels_last: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= ema_decay < 1:
            raise ValueError(f"model.ema_decay must be in [0, 1), got {ema_decay}.")
        if not 1 <= noise_levels <= denoiser.schedule.T:
            raise ValueError(f"model.noise_levels must be in [1, {denoiser.schedule.T}], got {noise_levels}.")
        self.denoiser, self.optimizer, self.lr_scheduler = denoiser, optimizer, lr_scheduler
        self.noise_levels, self.compile_network, self.seed = noise_levels, compile, seed
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format

        @torch.no_grad()
        def average(means: list[Tensor], weights: list[Tensor], n: Tensor | int) -> None:
            decay = min(ema_decay, (1 + int(n)) / (10 + int(n)))
            torch._foreach_lerp_(means, weights, 1 - decay)

        self.ema = (
            AveragedModel(denoiser, multi_avg_fn=average, use_buffers=False).requires_grad_(False).eval()
        )

    @property
    def averaged(self) -> Denoiser:
        """The denoiser with the running mean of the weights."""
        return self.ema.module

    def configure_model(self) -> None:
        self.to(memory_format=self.memory_format)
        if self.compile_network:
            self.denoiser.network.compile()

    def train(self, mode: bool = True) -> "PriorTraining":
        super().train(mode)
        self.ema.eval()
        return self

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return super().load_state_dict(state_dict, *args, **kwargs)
        except RuntimeError as error:
            first = str(error).splitlines()[1].strip()
            raise ValueError(
                f"the checkpoint is not of this model.denoiser: {first[:300]} "
                "Give the settings it was trained with, as in the config.yaml of its folder."
            ) from None

    def on_fit_start(self) -> None:
        data, classes = self.trainer.datamodule, self.denoiser.network.num_classes
        source = type(data).__name__
        first = next(iter(data.dataset("train")), None) if "train" in data.splits else None
        if first is None:
            raise ValueError(f"{source} has no images to train on.")
        if classes is not None and "label" not in first:
            raise ValueError(f"{source} has no labels, but the network has num_classes={classes}.")
        shape = first["image"].shape
        if tuple(shape) != self.denoiser.shape:
            raise ValueError(
                f"the images have shape {tuple(shape)} (C, H, W), "
                f"but model.denoiser.shape is {self.denoiser.shape}."
            )

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        x = batch["image"].contiguous(memory_format=self.memory_format)
        part = batch_idx % self.trainer.accumulate_grad_batches
        rng = generator(self.seed, self.global_step, part, self.global_rank, "train")
        t = torch.randint(1, self.denoiser.schedule.T + 1, (len(x),), generator=rng).to(x.device)
        eps = torch.randn(x.shape, generator=rng).to(x)
        loss = self.denoiser.loss(x, t, eps, self._label(batch)).mean()
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} at step {self.global_step}; training stopped before the weights "
                "changed. Lower the learning rate or clip the gradient."
            )
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            return  # a gradient that overflowed in 16 bits is skipped by the scaler
        gradients = [p.grad for p in self.denoiser.parameters() if p.grad is not None]
        if not torch.isfinite(torch.nn.utils.get_total_norm(gradients)):
            raise FloatingPointError(
                f"the gradient is not finite at step {self.global_step}; training stopped before the weights "
                "changed. Lower the learning rate."
            )

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        self.ema.update_parameters(self.denoiser)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        x = batch["image"].contiguous(memory_format=self.memory_format)
        B, T = len(x), self.denoiser.schedule.T
        rng = NoiseStream.of(self.seed, batch["index"].tolist(), "validation", device=x.device)
        losses = []
        for level in range(self.noise_levels):
            time = 1 + int((level + 0.5) * T / self.noise_levels)
            t = torch.full((B,), time, device=x.device)
            losses.append(self.averaged.loss(x, t, rng.normal(x.shape[1:]), self._label(batch)).mean())
            self.log(f"val_by_time/{time:04d}", losses[-1], batch_size=B, sync_dist=True)
        self.log("val/loss", torch.stack(losses).mean(), prog_bar=True, batch_size=B, sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.denoiser.parameters())
        if self.lr_scheduler is None:
            return optimizer
        return [optimizer], [{"scheduler": self.lr_scheduler(optimizer), "interval": "step"}]

    def _label(self, batch: dict[str, Any]) -> Tensor | None:
        """The classes, for a network that is told them."""
        return None if self.denoiser.network.num_classes is None else batch["label"]
