"""The two command lines. Classes may be given by name alone because their packages are imported here."""

import difflib
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import yaml
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from omegaconf.errors import OmegaConfBaseException

import lightning_inv.networks
import lightning_inv.operators
import lightning_inv.solvers  # noqa: F401
from lightning_inv.callbacks import (
    AtomicCheckpointIO,
    Checkpoints,
    ImagesPerSecond,
    LastValidation,
    PriorFile,
    ResultWriter,
    SampleGrid,
    SaveTrainConfig,
    StepProgressBar,
    as_text,
    checkpoint_folder,
    report,
)
from lightning_inv.configuration import completed, merge, read_config, split_words, switch_classes
from lightning_inv.data import ImageDataModule
from lightning_inv.messages import explain
from lightning_inv.modules import PriorTraining, Restoration
from lightning_inv.noise_models import GaussianNoise, Noise
from lightning_inv.recipes import describe

BAD_INPUT = (ValueError, TypeError, ArithmeticError, OSError, ImportError)
CONFIGS = Path(__file__).parents[1] / "configs"


def fail(message: str) -> NoReturn:
    """Ends the process with a message."""
    print(f"{Path(sys.argv[0]).name}: error: {message}", file=sys.stderr)  # noqa: T201 (it goes to stderr)
    raise SystemExit(2)


class Parser(LightningArgumentParser):
    """A parser whose errors are a few lines: what is wrong, what may have been meant, where to look."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:
            super().error(message, ex)
        hints = {action.dest: getattr(action, "_typehint", None) for action in self._actions}
        message = explain(message, hints)
        words = [
            word.lstrip("-").split("=")[0]
            for word in message.replace("'", " ").split()
            if word.startswith("--")
        ]
        known = [option.lstrip("-") for action in self._actions for option in action.option_strings]
        unknown = [word for word in words if word not in known]
        near = [match for word in unknown for match in difflib.get_close_matches(word, known, 1)]
        lines = [
            message,
            *(f"did you mean --{match}?" for match in near),
            f"see: python {self.prog} --help",
        ]
        fail("\n".join(lines))


class CommandLine(LightningCLI):
    """What both scripts share: defaults from a file, short errors, the configuration saved with the run.

    Args:
        model: The LightningModule to configure.
        defaults: The YAML that lies beneath all others.
        words: The words of the command line.
        settings: Settings of LightningCLI.
    """

    def __init__(
        self, model: type[LightningModule], defaults: Path, words: list[str], **settings: Any
    ) -> None:
        quiet()
        with merged(defaults, words) as config:
            super().__init__(
                model,
                ImageDataModule,
                subclass_mode_data=True,
                run=False,
                parser_class=Parser,
                parser_kwargs={
                    "parser_mode": "omegaconf+",
                    "default_config_files": [config],
                    "allow_abbrev": False,  # --model.sample is no --model.samples
                },
                auto_configure_optimizers=False,
                seed_everything_default=0,
                **settings,
            )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--folder", type=str, default="runs", help="where everything is written")
        parser.add_argument(
            "--traceback", type=bool, default=False, help="show where in the code an error arose"
        )
        parser.link_arguments("folder", "trainer.default_root_dir")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        try:
            super().parse_arguments(parser, args)
        except OmegaConfBaseException as error:
            parser.error(" ".join(str(error).split("object_type")[0].split()))

    def instantiate_classes(self) -> None:
        with self.plain_errors():
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        plugins = self._get(self.config_init, "trainer.plugins") or []
        plugins = plugins if isinstance(plugins, list) else [plugins]
        return super().instantiate_trainer(plugins=[*plugins, AtomicCheckpointIO()], **kwargs)

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Ends the process with one sentence on bad input, and with code 143 on SIGTERM."""
        try:
            yield
        except SIGTERMException:
            sys.exit(143)
        except (*BAD_INPUT, MisconfigurationException) as error:
            if self.config.traceback:
                raise
            self.parser.error(str(error))


class TrainCommandLine(CommandLine):
    """The command line of train.py."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        parser.add_argument(
            "--ckpt_path", default=None, help="checkpoint to go on from; last: the newest of --folder"
        )
        parser.add_lightning_class_args(Checkpoints, "checkpoint")
        parser.add_lightning_class_args(PriorFile, "prior")
        parser.add_lightning_class_args(SampleGrid, "samples")
        parser.link_arguments("folder", "checkpoint.dirpath", compute_fn=checkpoint_folder)
        parser.link_arguments("folder", "prior.folder")
        parser.link_arguments("folder", "samples.folder")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        logged = self._get(self.config_init, "trainer.logger") is not False
        callbacks = [ImagesPerSecond(), LastValidation(), *([LearningRateMonitor("step")] if logged else [])]
        self.trainer_defaults = {**self.trainer_defaults, "callbacks": callbacks}
        return super().instantiate_trainer(**kwargs)


class InferCommandLine(CommandLine):
    """The command line of infer.py."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        parser.add_lightning_class_args(ResultWriter, "output")
        parser.link_arguments("folder", "output.folder")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        if self._get(self.config_init, "trainer.enable_progress_bar") is not False:
            self.trainer_defaults = {**self.trainer_defaults, "callbacks": [StepProgressBar()]}
        return super().instantiate_trainer(**kwargs)


def train(args: list[str] | None = None) -> TrainCommandLine:
    """Trains a prior; without ``--config``, that of ``configs/priors/digits.yaml``.

    Args:
        args: The arguments; None for those of the process.
    """
    words = sys.argv[1:] if args is None else args
    if not split_words(words)[0]:
        words = ["--config", str(CONFIGS / "priors" / "digits.yaml"), *words]
    cli = TrainCommandLine(PriorTraining, CONFIGS / "train.yaml", words, save_config_callback=SaveTrainConfig)
    trainer = cli.trainer
    with cli.plain_errors():
        trainer.fit(cli.model, cli.datamodule, ckpt_path=cli.config.ckpt_path, weights_only=True)
    path = Path(trainer.default_root_dir) / "prior.safetensors"
    if path.exists():
        say(trainer, f"prior: {path}")
    return cli


def infer(args: list[str] | None = None) -> dict[str, Any]:
    """Restores images and returns the summary of the run; without arguments, inpaints the sample images.

    Args:
        args: The arguments; None for those of the process.
    """
    words = sys.argv[1:] if args is None else args
    cli = InferCommandLine(Restoration, CONFIGS / "infer.yaml", words, save_config_kwargs={"overwrite": True})
    trainer, data, model = cli.trainer, cli.datamodule, cli.model
    with cli.plain_errors():
        trainer.predict(model, data, return_predictions=False)
        trainer.strategy.barrier()
        if not trainer.is_global_zero:
            return {}
        summary = report(cli.config.folder, range(len(data.selected())), describe_run(cli))
    say(trainer, f"\n{as_text(summary)}\n\nresults: {cli.config.folder} (compare: {cli.config.folder}/grids)")
    return summary


def describe_run(cli: InferCommandLine) -> dict[str, Any]:
    """What the summary says of a run besides its figures."""
    prior, measurement = cli.config.model.prior, cli.model.measurement
    return {
        "prior": str(prior) if isinstance(prior, str | Path) else type(cli.model.prior).__name__,
        **(describe_noise(measurement.noise) if measurement else {}),
        "samples": cli.model.samples,
    }


def describe_noise(noise: Noise) -> dict[str, Any]:
    """The settings of the noise; the standard deviation of Gaussian noise in both units."""
    if isinstance(noise, GaussianNoise):
        return {"sigma": noise.sigma, "sigma_of_images_in_0_1": noise.sigma / 2}
    return {"noise": describe(noise)}


@contextmanager
def merged(defaults: Path, words: list[str]) -> Iterator[str]:
    """A file with the defaults and every ``--config``, merged; the process sees the flags.

    LightningCLI warns about any other way of handing flags over.
    """
    files, flags = split_words(words)
    try:
        tree = {}
        for file in (defaults, *files):
            tree = merge(tree, read_config(file))
        tree = completed(switch_classes(tree, flags))
    except (ValueError, yaml.YAMLError) as error:
        fail(" ".join(str(error).split()))
    saved = sys.argv
    with TemporaryDirectory() as folder:
        config = Path(folder) / "merged.yaml"
        config.write_text(yaml.safe_dump(tree, sort_keys=False))
        sys.argv = [saved[0], *flags]
        try:
            yield str(config)
        finally:
            sys.argv = saved


def say(trainer: Trainer, text: str) -> None:
    """Prints once, whatever the number of processes."""
    if trainer.is_global_zero:
        print(text)  # noqa: T201 (a command line speaks to its user)


def quiet() -> None:
    """Silences what is no news: advertising, and warnings about choices made on purpose."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
        lambda record: "💡" not in record.getMessage()
    )
    for message in (
        r".*module\(s\) in eval mode at the start of training",
        r".*does not have many workers",
        r".*dataloader is not resumable",  # ours is: its sampler counts the batches taken
        r"Total length of `DataLoader` across ranks is zero",  # all is done already
        r"`isinstance\(treespec, LeafSpec\)`",
    ):
        warnings.filterwarnings("ignore", message)
