"""Training of a prior."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from lightning import LightningModule
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

from lightning_inv.denoisers import Denoiser, NetworkDenoiser
from lightning_inv.modules.changed_settings import given
from lightning_inv.modules.compiling import own_cache
from lightning_inv.modules.fine_tuning import check_kind, kind, starting_weights
from lightning_inv.modules.resuming import begin_with_a_step, go_on
from lightning_inv.modules.running_means import best_of, running_mean
from lightning_inv.modules.sharding import shard, whole
from lightning_inv.modules.termination import Termination
from lightning_inv.modules.weightings import MinSNR
from lightning_inv.networks import Network
from lightning_inv.noise import NoiseStream

NAMED = 3
"""Images that an error names, at most."""


class Noisy(NamedTuple):
    """Images of validation at one time."""

    time: int
    t: Tensor
    """The time of each, shape ``(B,)``."""
    eps: Tensor
    """The noise added, shape ``(B, C, H, W)``."""
    x_t: Tensor
    """The noisy images, shape ``(B, C, H, W)``."""


class PriorTraining(LightningModule):
    """Trains a denoiser on images; its product is the running mean of the weights.

    Source: Ho et al. (2020), https://arxiv.org/abs/2006.11239, algorithm 1.

    Args:
        denoiser: The denoiser to train.
        optimizer: The optimizer, without its parameters.
        lr_scheduler: The learning-rate schedule, without its optimizer, stepped once a training step.
        ema_decay: The decay of the running mean of the weights, 0.999 if None; step n uses at most
            (1 + n) / (10 + n).
        ema_half_lives: Several running means instead, each by its half-life in steps, which it has from step
            13 times that on; of these the one with the least validation loss is the product, and the first
            where nothing is validated.
        weighting: Weights of the loss by time; None weighs all times alike.
        start_from: The prior whose weights training begins with: a file, or the name of one that ships with
            the package. A run that goes on from a checkpoint does not look at it.
        noise_levels: Validation looks at this many times, evenly spread over 1..T.
        compile: Compile the network with ``torch.compile``.
        checkpoint_activations: Keep less for the gradient and compute more, see ``Network.checkpointed``.
        channels_last: Keep images and weights in the channels-last memory format.
        seed: Times and noise of an image follow from it and the image's number in the stream.

    Attributes:
        changing: Whether weights, moments and means are just being changed, and not of one step.

    Raises:
        ValueError: A number is out of its range.
    """

    def __init__(  # noqa: PLR0913 (each is one choice of the user)
        self,
        denoiser: NetworkDenoiser,
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=2e-4, weight_decay=0.0),
        lr_scheduler: LRSchedulerCallable | None = None,
        ema_decay: float | None = None,
        ema_half_lives: Sequence[float] | None = None,
        weighting: MinSNR | None = None,
        start_from: str | None = None,
        noise_levels: int = 8,
        compile: bool = False,
        checkpoint_activations: bool = False,
        channels_last: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if ema_decay is not None and ema_half_lives is not None:
            raise ValueError("give model.ema_decay or model.ema_half_lives, not both; set the other to null.")
        if not 0 <= (ema_decay or 0) < 1:
            raise ValueError(f"model.ema_decay must be in [0, 1), got {ema_decay}.")
        if not 1 <= noise_levels <= denoiser.schedule.T:
            raise ValueError(f"model.noise_levels must be in [1, {denoiser.schedule.T}], got {noise_levels}.")
        lives = [1.0] if ema_half_lives is None else ema_half_lives
        if not (lives and all(0 < life < math.inf for life in lives)):
            raise ValueError(f"model.ema_half_lives must be positive steps, got {list(ema_half_lives)}.")
        self.denoiser, self.optimizer, self.lr_scheduler = denoiser, optimizer, lr_scheduler
        self.weighting, self.start_from = weighting, start_from
        T = denoiser.schedule.T
        self.validation_times = [1 + int((level + 0.5) * T / noise_levels) for level in range(noise_levels)]
        self.compile_network, self.seed = compile, seed
        self.changing, self.given, self.held = False, None, None
        for module in self.denoiser.modules():
            if isinstance(module, Network):
                module.checkpointed = checkpoint_activations
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        usual = [0.999 if ema_decay is None else ema_decay]
        decays = usual if ema_half_lives is None else [0.5 ** (1 / life) for life in ema_half_lives]
        self.means = nn.ModuleList(running_mean(denoiser, decay) for decay in decays)
        self.register_buffer("best_mean", torch.tensor(0))  # among the means, by the last validation

    @property
    def averaged(self) -> Denoiser:
        """The denoiser with the running mean of the weights, of several with the best."""
        return self.means[int(self.best_mean)].module

    def setup(self, stage: str) -> None:
        if stage == "validate":
            self._start()

    def configure_callbacks(self) -> list[Callback]:
        return [Termination()]

    def configure_model(self) -> None:
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            for denoiser in (self.denoiser, *(mean.module for mean in self.means)):
                shard(denoiser.network, self.device_mesh)
        else:
            self.to(memory_format=self.memory_format)
        if self.compile_network:
            own_cache()
            self.denoiser.network.compile(dynamic=False)  # anew for each size of images

    def train(self, mode: bool = True) -> "PriorTraining":
        super().train(mode)
        self.means.eval()
        return self

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        try:
            loaded = super().load_state_dict(state_dict, *args, **kwargs)
        except RuntimeError as error:
            first = str(error).splitlines()[1].strip()
            raise ValueError(
                f"the checkpoint is not of this model.denoiser, or of other running means: {first[:300]} "
                "Give the settings it was trained with, as in the config.yaml of its folder."
            ) from None
        if not 0 <= self.best_mean < len(self.means):
            raise ValueError(f"best_mean must be in [0, {len(self.means) - 1}], got {int(self.best_mean)}.")
        return loaded

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint |= {"accumulate": self.trainer.accumulate_grad_batches, "given": self.given}
        checkpoint["denoiser"] = kind(self.denoiser)
        for name in checkpoint.keys() & {"state_dict", "optimizer_states"}:  # FSDP sends tensors as they lie
            checkpoint[name] = apply_to_collection(checkpoint[name], Tensor, Tensor.contiguous)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.changing, self.held = True, checkpoint.get("given")  # until training begins
        check_kind(self.denoiser, checkpoint.get("denoiser"))

        def like_weights(state: Tensor) -> Tensor:
            return state.contiguous(memory_format=self.memory_format) if state.ndim == 4 else state

        for name in checkpoint.keys() & {"optimizer_states"}:
            checkpoint[name] = apply_to_collection(checkpoint[name], Tensor, like_weights)
        begin_with_a_step(checkpoint, self.trainer.accumulate_grad_batches)

    def on_fit_start(self) -> None:
        self._start()  # not before: only now has a checkpoint been read
        data, classes = self.trainer.datamodule, self.denoiser.network.num_classes
        source = type(data).__name__
        if data.shard is not None:
            raise ValueError(f"data.shard is for infer.py; train.py needs all images, got {data.shard}.")
        images = data.dataset("train") if "train" in data.splits else ()
        first = next(iter(images), None)
        if first is None:
            raise ValueError(f"{source} has no images to train on.")
        if classes is not None:
            if "label" not in first:
                raise ValueError(f"{source} has no labels, but the network has num_classes={classes}.")
            images.check_labels(classes)
        self.image_shape = shape = tuple(first["image"].shape)
        if not self.denoiser.fits(shape):
            raise ValueError(
                f"the images have shape {shape} (C, H, W), but model.denoiser.shape is {self.denoiser.shape}."
            )

    def on_train_start(self) -> None:
        own = torch.tensor(self.global_step, device=self.device)
        steps = self.all_gather(own).flatten().unique().tolist()
        if len(steps) > 1:
            raise ValueError(
                f"the devices go on from different steps, {steps}: all nodes must see the same --folder."
            )
        go_on(self, self.given, self.held)
        self.changing = False

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        x = batch["image"].contiguous(memory_format=self.memory_format)
        rng = NoiseStream.of(self.seed, batch["number"].tolist(), "train", device=x.device)
        t = 1 + (rng.uniform() * self.denoiser.schedule.T).long()
        eps = rng.normal(x.shape[1:]).to(x)
        losses = self.denoiser.loss(x, t, eps, self._label(batch))
        losses = losses if self.weighting is None else losses * self.weighting(self.denoiser, t)
        loss = losses.mean()
        told = self.trainer.strategy.reduce(loss.detach(), reduce_op="mean")  # all ranks stop, or none
        if not torch.isfinite(told):
            raise FloatingPointError(
                f"the loss is {told.item()} at step {self.global_step}; in batch {batch_idx} of the pass "
                f"{_culprits(batch, losses)}; training stopped before the weights changed. "
                "Lower the learning rate, clip the gradient, or look at the images."
            )
        self.log("train/loss", told, prog_bar=True)
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if getattr(self.trainer.precision_plugin, "scaler", None) is None:
            self._check_gradient()  # where there is one, it skips a gradient that overflowed in 16 bits
        self.changing = True

    def _check_gradient(self) -> None:
        gradients = [p.grad for p in self.denoiser.parameters() if p.grad is not None]
        if not torch.isfinite(whole(torch.nn.utils.get_total_norm(gradients))):
            raise FloatingPointError(
                f"the gradient is not finite at step {self.global_step}, in batch "
                f"{self.trainer.fit_loop.batch_idx} of the pass; training stopped before the weights "
                "changed. Lower the learning rate."
            )

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        for mean in self.means:
            mean.update_parameters(self.denoiser)
        self.changing = False

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        log = partial(self.log, batch_size=len(batch["image"]), sync_dist=True, logger=False)
        label = self._label(batch)
        for time, t, eps, x_t in self.noisy(batch):
            for k, mean in enumerate(self.means):
                log(f"val/{k}/{time:04d}", F.mse_loss(mean.module(x_t, t, label).eps, eps))

    def validated(self) -> Tensor:
        """The losses of the last validation, shape ``(means, times)``."""
        metrics, times = self.trainer.callback_metrics, self.validation_times
        return torch.stack(
            [torch.stack([metrics[f"val/{k}/{time:04d}"] for time in times]) for k in range(len(self.means))]
        )

    def noisy(self, batch: dict[str, Any]) -> Iterator[Noisy]:
        """The images of a batch at each time of validation, with noise that follows from seed and image."""
        x = batch["image"].contiguous(memory_format=self.memory_format)
        rng = NoiseStream.of(self.seed, batch["index"].tolist(), "validation", device=x.device)
        for time in self.validation_times:
            t, eps = torch.full((len(x),), time, device=x.device), rng.normal(x.shape[1:])
            alpha_t, sigma_t = self.denoiser.schedule(t)
            yield Noisy(time, t, eps, alpha_t * x + sigma_t * eps)

    def on_validation_epoch_end(self) -> None:
        by_time = self.validated()
        losses, log = by_time.mean(1), partial(self.log, sync_dist=True)
        self.best_mean.copy_(best_of(by_time))
        log("val/loss", losses[self.best_mean], prog_bar=True)
        for time, loss in zip(self.validation_times, by_time[self.best_mean], strict=True):
            log(f"val_by_time/{time:04d}", loss)
        for k, loss in enumerate(losses if len(losses) > 1 else ()):
            log(f"val_by_mean/{k}", loss)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.denoiser.parameters())
        schedule = None if self.lr_scheduler is None else self.lr_scheduler(optimizer)
        self.given = given(optimizer, schedule)
        return [optimizer], [] if schedule is None else [{"scheduler": schedule, "interval": "step"}]

    def _start(self) -> None:
        """Takes the weights to start from, unless steps were made already."""
        if self.start_from is None or self.means[0].n_averaged > 0:
            return
        weights = starting_weights(self.start_from, self.denoiser)
        for denoiser in (self.denoiser, *(mean.module for mean in self.means)):
            set_model_state_dict(denoiser, weights, options=StateDictOptions(full_state_dict=True))

    def _label(self, batch: dict[str, Any]) -> Tensor | None:
        """The classes, for a network that is told them."""
        return None if self.denoiser.network.num_classes is None else batch["label"]


def _culprits(batch: dict[str, Any], losses: Tensor) -> str:
    """The images of a batch whose loss is not finite, the first by name."""
    bad = (~losses.isfinite()).nonzero().flatten().tolist()
    if not bad:
        return "no image of this device has such a loss"
    names, more = ", ".join(batch["name"][i] for i in bad[:NAMED]), ", ..." if len(bad) > NAMED else ""
    return f"{len(bad)} of {len(losses)} images have such a loss ({names}{more})"
