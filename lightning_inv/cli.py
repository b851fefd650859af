"""The two command lines. Classes may be given by name alone because their packages are imported here."""

import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.strategies import DDPStrategy

import lightning_inv.networks
import lightning_inv.operators
import lightning_inv.solvers  # noqa: F401
from lightning_inv.callbacks import (
    Checkpoints,
    Comparison,
    ImagesPerSecond,
    LastValidation,
    LinearBaseline,
    PriorFile,
    ResultWriter,
    SampleGrid,
    SampleQuality,
    SaveConfig,
    SaveTrainConfig,
    StepProgressBar,
    as_text,
    check_checkpoint,
    check_strategy,
    checkpoint_folder,
    checkpoint_of,
    naming,
    report,
)
from lightning_inv.callbacks.beginning import check_beginning
from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.outputs import check_outputs, keep_metrics
from lightning_inv.callbacks.places import check_no_other
from lightning_inv.callbacks.shards import finish_shard
from lightning_inv.callbacks.unsupported import check_callbacks, check_going_on
from lightning_inv.command_line import CommandLine, say
from lightning_inv.folder_defaults import configured, usage
from lightning_inv.locks import at_work
from lightning_inv.modules import PriorTraining, Restoration, Work
from lightning_inv.noise_models import GaussianNoise, Noise
from lightning_inv.recipes import describe
from lightning_inv.tuning import Search, tune

RETRIES = 6
"""How often a restoration by several processes looks again for results that do not show yet."""
PATIENCE = timedelta(days=30)
"""How long the processes of a restoration wait for the slowest."""
CONFIGS = Path(__file__).parents[1] / "configs"


class TrainCommandLine(CommandLine):
    """The command line of train.py."""

    memory = (
        "make data.batch_size smaller, and trainer.accumulate_grad_batches larger by as much for the same "
        "training, or give model.checkpoint_activations=true or trainer.precision=bf16-mixed, or images of "
        "smaller sides. The last checkpoint stays; --ckpt_path last goes on from it."
    )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        parser.add_argument(
            "--ckpt_path",
            default=None,
            help="checkpoint to go on from; last: the newest of --folder; auto: the same, if there is one",
        )
        parser.add_lightning_class_args(Checkpoints, "checkpoint")
        parser.add_lightning_class_args(PriorFile, "prior")
        parser.add_lightning_class_args(SampleGrid, "samples")
        parser.add_lightning_class_args(SampleQuality, "quality")
        parser.add_lightning_class_args(LinearBaseline, "baseline")
        parser.link_arguments("folder", "checkpoint.dirpath", compute_fn=checkpoint_folder)
        parser.link_arguments("folder", "prior.folder")
        parser.link_arguments("folder", "samples.folder")
        parser.link_arguments("folder", "quality.folder")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        logged = self._get(self.config_init, "trainer.logger") is not False
        callbacks = [ImagesPerSecond(), LastValidation(), *([LearningRateMonitor("step")] if logged else [])]
        self.trainer_defaults = {**self.trainer_defaults, "callbacks": callbacks}
        trainer = super().instantiate_trainer(**kwargs)
        check_strategy(trainer.strategy)
        check_callbacks(trainer.callbacks)
        return trainer


class InferCommandLine(CommandLine):
    """The command line of infer.py."""

    memory = (
        "make data.batch_size or data.num_workers smaller, or give model.tile, with a prior of any size, or "
        "trainer.precision=bf16-mixed. What is done stays."
    )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        parser.add_lightning_class_args(Comparison, "compare")  # it checks before the other one writes
        parser.add_lightning_class_args(ResultWriter, "output")
        parser.link_arguments("folder", "output.folder")
        parser.link_arguments("packages", "model.packages")
        parser.link_arguments("folder", "compare.folder")
        parser.add_argument("--tune", type=Search | None, default=None, help="search settings instead")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        if self._get(self.config_init, "trainer.enable_progress_bar") is not False:
            self.trainer_defaults = {**self.trainer_defaults, "callbacks": [StepProgressBar()]}
        trainer = super().instantiate_trainer(**kwargs)
        if isinstance(trainer.strategy, DDPStrategy):
            trainer.strategy._timeout = PATIENCE  # it may have been made of a name, which tells no time
        return trainer


def train(args: list[str] | None = None) -> TrainCommandLine:
    """Trains a prior; without ``--config``, one of the pictures in ``--data.root``, and else one of digits.

    Args:
        args: The arguments; None for those of the process.
    """
    words = sys.argv[1:] if args is None else args
    with configured(words, CONFIGS / "priors") as (words, chosen):
        cli = TrainCommandLine(
            PriorTraining, CONFIGS / "train.yaml", words, save_config_callback=SaveTrainConfig
        )
    trainer = cli.trainer
    if chosen:
        say(trainer, chosen)
    check = partial(check_beginning, ckpt_path=cli.config.ckpt_path, trainer=trainer)
    with cli.plain_errors(), cli.at_work(check=check):
        begun = checkpoint_of(cli.config.ckpt_path, Path(checkpoint_folder(cli.config.folder)))
        check_outputs(trainer, Path(cli.config.folder))
        if begun is not None:
            check_going_on(trainer.callbacks)
            check_checkpoint(Path(begun))
        keep_metrics(trainer)
        with naming(trainer):
            trainer.fit(cli.model, cli.datamodule, ckpt_path=begun, weights_only=True)
    path = Path(trainer.default_root_dir) / "prior.safetensors"
    if compared := cli._get(cli.config_init, "baseline").as_text():
        say(trainer, compared)
    if path.exists():
        say(trainer, f"prior: {path}")
    if path.exists() and chosen:
        say(trainer, f"restore with it: {usage(cli.datamodule, cli.model.denoiser.shape, path)}")
    return cli


def infer(args: list[str] | None = None) -> dict[str, Any]:
    """Restores images and returns the summary of the run; without arguments, does ``configs/demo.yaml``.

    Of several problems, the summary holds those of each, by name, under ``problems``. It is empty on all
    ranks but the first, and while images of other shards are to be done.

    Args:
        args: The arguments; None for those of the process.
    """
    words = (sys.argv[1:] if args is None else args) or ["--config", str(CONFIGS / "demo.yaml")]
    cli = InferCommandLine(Restoration, CONFIGS / "infer.yaml", words, save_config_callback=SaveConfig)
    with cli.plain_errors():
        if (search := cli._get(cli.config_init, "tune")) is not None:
            with at_work(Path(cli.config.folder)):
                return tuned(cli, search)
        problems, shared = list(filter(None, cli.model.work)), cli.datamodule.shard is not None
        with cli.at_work(shared, partial(check_no_other, problems=problems), problems):
            check_outputs(cli.trainer, Path(cli.config.folder))
            return restored(cli)


def restored(cli: InferCommandLine) -> dict[str, Any]:
    """Restores the images and returns what ``infer`` does."""
    trainer, model = cli.trainer, cli.model
    trainer.predict(model, cli.datamodule, return_predictions=False)
    trainer.strategy.barrier()
    if model.spread_samples:
        cli._get(cli.config_init, "output").merge(trainer, model)
        trainer.strategy.barrier()
    return finish(cli) if trainer.is_global_zero else {}


def finish(cli: InferCommandLine) -> dict[str, Any]:
    """Writes the summary, unless there are shards that are not done; returns it.

    Raises:
        ValueError: There are images without results.
    """
    trainer, model, shard, folder = cli.trainer, cli.model, cli.datamodule.shard, Path(cli.config.folder)
    indices = range(len(cli.datamodule.selected()))
    if shard is not None and (others := finish_shard(folder, shard)):
        say(trainer, f"shard {shard} is done, of {shard.count} {others} are not.")
        return {}
    if left := missing(folder, model, indices, RETRIES if trainer.world_size > 1 else 0):
        told = f"of {len(indices)} images in {folder} {left} have no result"
        if shard is None:
            raise ValueError(f"{told}; the same command does them.")
        say(trainer, f"shard {shard} is done; {told}.")
        return {}
    told = {
        name: report(folder / name, indices, describe_run(cli, work)) for name, work in model.work.items()
    }
    comparison: Comparison = cli._get(cli.config_init, "compare")
    text = as_text(told[""]) if model.problems is None else comparison.write(told, indices)
    shown = "grids" if model.problems is None else "comparison.png"
    say(trainer, f"\n{text}\n\nresults: {folder} (look at {folder}/{shown})")
    return told[""] if model.problems is None else {"problems": told}


def missing(folder: Path, model: Restoration, indices: range, retries: int) -> int:
    """How many images still lack a result, of some problem.

    Args:
        folder: The folder of results.
        model: What was restored.
        indices: The images.
        retries: How often to look again, every ten seconds: what other nodes have written to a network file
            system may show later.
    """
    for again in range(retries, -1, -1):
        done = [Manifest(folder / name).done().intersection(indices) for name in model.work]
        left = len(indices) - min(map(len, done))
        if not (left and again):
            break
        time.sleep(10)
    return left


def tuned(cli: InferCommandLine, search: Search) -> dict[str, Any]:
    """Searches settings of a solver and returns the best."""
    trainer, folder = cli.trainer, cli.config.folder
    found = tune(search, cli.model, cli.datamodule, trainer, folder, str(cli.config.model.prior))
    best = ", ".join(f"{path} {value}" for path, value in found["settings"].items())
    say(trainer, f"\n{found['measure']} {found['best']:.4f}: {best}\n\npreset: {folder}/preset.yaml")
    return found


def describe_run(cli: InferCommandLine, work: Work) -> dict[str, Any]:
    """What the summary says of one problem of a run besides its figures."""
    prior, measurement = cli.config.model.prior, work.measurement
    return {
        "prior": str(prior) if isinstance(prior, str | Path) else type(cli.model.prior).__name__,
        **({"operator": type(measurement.operator).__name__} if cli.model.problems else {}),
        **(describe_noise(measurement.noise) if measurement else {}),
        "samples": cli.model.samples,
        **({"refused": work.refused} if work.refused else {}),
    }


def describe_noise(noise: Noise) -> dict[str, Any]:
    """The settings of the noise; the standard deviation of Gaussian noise in both units."""
    if isinstance(noise, GaussianNoise):
        return {"sigma": noise.sigma, "sigma_of_images_in_0_1": noise.sigma / 2}
    return {"noise": describe(noise)}
