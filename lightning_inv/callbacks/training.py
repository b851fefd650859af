"""Callbacks of train.py."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torchvision.utils import make_grid

import lightning_inv
from lightning_inv.callbacks.logging import tensorboard
from lightning_inv.callbacks.outputs import free_name
from lightning_inv.callbacks.pictures import write_png
from lightning_inv.callbacks.saved_config import SaveConfig
from lightning_inv.denoisers import SizedDenoiser
from lightning_inv.files import remove_parts
from lightning_inv.modules import PriorTraining
from lightning_inv.modules.sharding import finite, whole_weights
from lightning_inv.noise import NoiseStream
from lightning_inv.priors import save_prior
from lightning_inv.solvers import Problem, Unconditional

DRAWN = 64
"""Samples drawn at a time, at most."""


class LastValidation(Callback):
    """Validates at the end of training, unless the last step was validated, so that no step is lost.

    It comes before the callbacks that look at validations.
    """

    def __init__(self) -> None:
        self.validated = -1

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validated = trainer.global_step

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.enable_validation or trainer.global_step in (0, self.validated):
            return
        trainer.validating = True  # as Lightning's own loop does within fit
        trainer.fit_loop.epoch_loop.val_loop.run()
        trainer.training = True


class PriorFile(Callback):
    """Writes ``prior.safetensors`` at each best validation loss so far.

    The file always holds the averaged weights of the best validation, or the last ones if none was made. One
    that is there of another run is given another name first.

    Args:
        folder: The folder of the file.
        provenance: What to tell of the weights besides steps, loss and data, such as a licence.
        half: Write the weights in 16 bits.
    """

    def __init__(
        self, folder: str = "runs/prior", provenance: dict[str, str] | None = None, half: bool = False
    ) -> None:
        self.path, self.provenance, self.half = Path(folder) / "prior.safetensors", provenance or {}, half
        self.best: float | None = None
        self.own = False
        self.start_from: str | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "start_from": self.start_from}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        best, begun = state_dict["best"], state_dict.get("start_from")
        if not (isinstance(best, float | None) and isinstance(begun, str | None)):
            raise ValueError(f"PriorFile has a best loss and a file it began with, got {best!r}, {begun!r}.")
        self.best, self.start_from = best, begun

    def on_fit_start(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        if trainer.is_global_zero:
            remove_parts(self.path.parent)
        begun = trainer.ckpt_path and Path(trainer.ckpt_path).resolve()
        self.own = bool(begun) and begun.parent.parent == self.path.parent.resolve()  # else of another run
        if not trainer.strategy.broadcast(self.own and self.path.exists()):
            self.best = None  # of a run that goes on in another folder the next is the best there

    def on_train_start(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        if not trainer.global_step:  # a run that goes on keeps what it began with
            self.start_from = pl_module.start_from

    def on_validation_end(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        loss = trainer.callback_metrics.get("val/loss")
        if trainer.sanity_checking or loss is None:
            return
        if torch.isfinite(loss) and (self.best is None or loss.item() < self.best):
            self.best = loss.item()
            self._write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        if self.best is None:
            self._write(trainer, pl_module)

    def _write(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        if trainer.fast_dev_run:
            return
        self._check_finite(trainer, pl_module)
        weights = whole_weights(pl_module.averaged.state_dict())  # of all ranks
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule
        told = {
            "version": lightning_inv.__version__,
            "data": type(data).__name__,
            "steps": trainer.global_step,
            "batch_size": data.batch_size * trainer.world_size * trainer.accumulate_grad_batches,
            "val_loss": self.best,
            **({"start_from": self.start_from} if self.start_from else {}),
            **self.provenance,
        }
        if self.path.exists() and not self.own:  # of a run whose checkpoints are gone
            self.path.rename(free_name(self.path))
        self.own = True
        save_prior(self.path, pl_module.averaged, told, self.half, weights)

    def _check_finite(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        """Raises FloatingPointError on all ranks where a weight to be written is not finite."""
        weights = pl_module.averaged.parameters()
        found = finite(weight.half() if self.half else weight for weight in weights)
        if not trainer.strategy.reduce_boolean_decision(found):
            raise FloatingPointError(
                f"{self.path} is not written: the averaged weights are not finite"
                f"{' in 16 bits' if self.half else ''} at step {trainer.global_step}. Lower the learning rate"
                f"{' or give prior.half=false' if self.half else ''}."
            )


class SampleGrid(Callback):
    """Draws a grid of samples from the averaged weights after each validation.

    The latest grid is ``samples.png`` in the run's folder; all of them are in TensorBoard.

    Args:
        folder: The folder of the grid.
        count: The number of samples; 0 for none.
        steps: The denoising steps of each.
        seed: The noise follows from it, so that grids of one run can be compared.
    """

    def __init__(self, folder: str = "runs/prior", count: int = 64, steps: int = 50, seed: int = 0) -> None:
        self.path, self.count, self.seed = Path(folder) / "samples.png", count, seed
        self.solver = Unconditional(steps)

    def on_fit_start(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        self.solver.check(pl_module.denoiser, None)

    def on_validation_end(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        if trainer.sanity_checking or not self.count:
            return
        samples = draw(trainer, pl_module, self.solver, self.count, self.seed)
        if not trainer.is_global_zero:
            return
        grid = grid_of(samples, max(1, round(self.count**0.5)))
        write_png(self.path, 2 * grid - 1)
        if (writer := tensorboard(trainer)) is not None:
            writer.add_image("samples", grid, trainer.global_step)


def draw(trainer: Trainer, pl_module: PriorTraining, solver: Unconditional, count: int, seed: int) -> Tensor:
    """Samples from the averaged weights, of the classes in turn, shape ``(count, C, H, W)``, on the CPU.

    Every rank draws its share, and all are given all of them.

    Args:
        trainer: The trainer.
        pl_module: The training.
        solver: What draws them.
        count: How many.
        seed: The noise follows from it and the place of a sample among them.
    """
    prior, device = SizedDenoiser(pl_module.averaged, pl_module.image_shape), pl_module.device
    classes, ranks = prior.num_classes, trainer.world_size
    each = -(-count // ranks)  # of all ranks alike, though a few samples be too many
    share = torch.arange(trainer.global_rank, each * ranks, ranks)
    own = []
    for indices in share.split(DRAWN):
        rng = NoiseStream.of(seed, indices.tolist(), "samples", device=device)
        label = None if classes is None else indices.to(device) % classes
        with trainer.precision_plugin.forward_context():
            own.append(solver(Problem(None, None, prior, rng, label)).float().clamp(-1, 1))
    shares = trainer.strategy.all_gather(torch.cat(own)).view(ranks, each, *prior.shape)
    return shares.transpose(0, 1).flatten(0, 1)[:count].cpu()


def grid_of(images: Tensor, columns: int) -> Tensor:
    """Images in [-1, 1] in one picture in [0, 1], a line between them.

    Of those that are neither grey nor RGB the mean of the channels is shown, as in the pictures of results.
    """
    shown = images if images.shape[1] in (1, 3) else images.mean(1, keepdim=True)
    return make_grid(shown / 2 + 0.5, nrow=columns, padding=1)


class ImagesPerSecond(Callback):
    """Logs how many images all devices together train on in a second.

    Args:
        clock: Tells the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.since: float | None = None

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: dict[str, Any],
        batch_idx: int,
    ) -> None:
        now, since = self.clock(), self.since
        self.since = now
        if since is not None:
            rate = len(batch["image"]) * trainer.world_size / max(now - since, 1e-9)
            pl_module.log("images/s", rate, prog_bar=True, batch_size=1)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.since = None


class SaveTrainConfig(SaveConfig):
    """Saves the configuration when a checkpoint to go on from has been read: it is that of this run."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Nothing yet."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().setup(trainer, pl_module, "fit")
