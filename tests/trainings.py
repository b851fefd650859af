"""Short trainings on digits, by the command line and without it."""

from pathlib import Path
from typing import Any

import torch
from helpers import tiny_prior
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from lightning_inv.callbacks import AtomicCheckpointIO, naming
from lightning_inv.data import Digits
from lightning_inv.modules import PriorTraining

CONFIG = """
model:
  denoiser:
    class_path: EpsilonDenoiser
    init_args:
      shape: [1, 8, 8]
      network: {class_path: TinyNetwork, init_args: {width: 4}}
  optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 0.01}}
  lr_scheduler: {class_path: WarmupCosine, init_args: {steps: 10, warmup: 2}}
  noise_levels: 2
data:
  class_path: Digits
  init_args: {batch_size: 300, flip: true}
samples: {count: 0}
trainer:
  accelerator: cpu
  logger: false
  max_steps: 6
  val_check_interval: 2
  check_val_every_n_epoch: null
  enable_progress_bar: false
  enable_model_summary: false
"""
UNET = """
model:
  denoiser:
    init_args:
      network:
        class_path: UNet
        init_args: {image_size: 8, model_channels: 8, channel_mult: [1], num_res_blocks: 1,
          attention_resolutions: [], num_heads: 2, norm_groups: 4, num_classes: 10}
"""


def words(folder: Path, *more: str) -> list[str]:
    """The arguments of a short training into ``folder``."""
    config = folder.parent / "config.yaml"
    config.write_text(CONFIG)
    return ["--config", str(config), "--folder", str(folder), *more]


def checkpoint(folder: Path, name: str = "last") -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def assert_same_training(one: Path, other: Path) -> None:
    """Weights, running mean and optimizer of the last checkpoints are bitwise the same."""
    first, second = checkpoint(one), checkpoint(other)
    assert first["global_step"] == second["global_step"]
    torch.testing.assert_close(first["state_dict"], second["state_dict"], atol=0, rtol=0)
    for state in zip(first["optimizer_states"], second["optimizer_states"], strict=True):
        torch.testing.assert_close(state[0]["state"], state[1]["state"], atol=0, rtol=0)
    assert first["lr_schedulers"] == second["lr_schedulers"]


def trained(
    callbacks: list[Callback], folder: Path, steps: int = 3, begun: Path | None = None, **settings: Any
) -> PriorTraining:
    """A few steps without the command line, from a checkpoint on if there is one."""
    torch.manual_seed(0)
    module = PriorTraining(tiny_prior(), **settings)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        max_steps=steps,
        callbacks=callbacks,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        val_check_interval=1,
        check_val_every_n_epoch=None,
        default_root_dir=folder,
        plugins=[AtomicCheckpointIO()],
    )
    with naming(trainer):
        trainer.fit(module, Digits(batch_size=300), ckpt_path=begun, weights_only=True)
    return module
