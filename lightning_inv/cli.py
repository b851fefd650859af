"""The two command lines. Classes may be given by name alone because their packages are imported here."""

import difflib
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf.errors import OmegaConfBaseException

import lightning_inv.networks
from lightning_inv.callbacks import AtomicCheckpointIO, ImagesPerSecond, PriorFile, SampleGrid
from lightning_inv.data import ImageDataModule
from lightning_inv.modules import PriorTraining

CONFIGS = Path(__file__).parents[1] / "configs"
USER_ERRORS = (ValueError, TypeError, OSError, ImportError)


class Parser(LightningArgumentParser):
    """A parser whose errors are a few lines: what is wrong, what may have been meant, where to look."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:
            super().error(message, ex)
        words = [word.lstrip("-").split("=")[0] for word in message.replace("'", " ").split() if word.startswith("--")]
        known = [option.lstrip("-") for action in self._actions for option in action.option_strings]
        near = [match for word in words for match in difflib.get_close_matches(word, known, 1)]
        lines = [
            f"{self.prog}: error: {message}",
            *(f"did you mean --{match}?" for match in near),
            f"see: python {self.prog} --help",
        ]
        print(*lines, sep="\n", file=sys.stderr)  # noqa: T201 (what a command line says goes to stderr)
        self.exit(2)


class CommandLine(LightningCLI):
    """What both scripts share: defaults from a file, short errors, the merged configuration saved with the run.

    Args:
        model: The LightningModule to configure.
        defaults: The YAML that lies beneath all others.
        args: The arguments instead of those of the process.
        overwrite: Whether a folder that already holds a run may be used again; told the parsed configuration.
        settings: Settings of LightningCLI.
    """

    def __init__(
        self, model: type[LightningModule], defaults: Path, args: ArgsType, save_config: type, **settings: Any
    ) -> None:
        quiet()
        super().__init__(
            model,
            ImageDataModule,
            subclass_mode_data=True,
            run=False,
            args=args,
            parser_class=Parser,
            parser_kwargs={"parser_mode": "omegaconf+", "default_config_files": [str(defaults)]},
            auto_configure_optimizers=False,
            seed_everything_default=0,
            save_config_callback=save_config,
            **settings,
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        try:
            super().parse_arguments(parser, args)
        except OmegaConfBaseException as error:
            parser.error(str(error).replace("\n", " "))

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except USER_ERRORS as error:
            self.parser.error(str(error))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        plugins = self._get(self.config_init, "trainer.plugins") or []
        plugins = plugins if isinstance(plugins, list) else [plugins]
        return super().instantiate_trainer(plugins=[*plugins, AtomicCheckpointIO()], **kwargs)


class SaveTrainConfig(SaveConfigCallback):
    """Saves the configuration; refuses a folder that holds another run, unless it goes on with that run."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.overwrite = self.config.ckpt_path is not None
        path = Path(trainer.log_dir or ".") / self.config_filename
        if not self.overwrite and trainer.is_global_zero and path.exists():
            raise ValueError(
                f"{path.parent} already holds a run; give --folder another name, or --ckpt_path last to go on with it."
            )
        super().setup(trainer, pl_module, stage)


class TrainCommandLine(CommandLine):
    """The command line of train.py."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--folder", default="runs/prior", help="where the run is written")
        parser.add_argument("--ckpt_path", default=None, help="checkpoint to go on from; last: the newest of --folder")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(PriorFile, "prior")
        parser.add_lightning_class_args(SampleGrid, "samples")
        parser.link_arguments("folder", "trainer.default_root_dir")
        parser.link_arguments("folder", "checkpoint.dirpath", compute_fn=_checkpoints)
        parser.link_arguments("folder", "prior.folder")
        parser.link_arguments("folder", "samples.folder")


def _checkpoints(folder: str) -> str:
    return str(Path(folder) / "checkpoints")


def train(args: ArgsType = None) -> TrainCommandLine:
    """Trains a prior; without ``--config``, that of ``configs/priors/digits.yaml``.

    Args:
        args: The arguments instead of those of the process.
    """
    args = sys.argv[1:] if args is None else args
    if isinstance(args, list) and not any(arg.split("=")[0] in ("--config", "-c") for arg in args):
        args = ["--config", str(CONFIGS / "priors" / "digits.yaml"), *args]
    cli = TrainCommandLine(
        PriorTraining,
        CONFIGS / "train.yaml",
        args,
        SaveTrainConfig,
        trainer_defaults={"callbacks": [LearningRateMonitor("step"), ImagesPerSecond()]},
    )
    _run(cli, lambda: cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=cli.config.ckpt_path, weights_only=True))
    if cli.trainer.is_global_zero:
        print(f"prior: {cli.trainer.default_root_dir}/prior.safetensors")  # noqa: T201
    return cli


def _run(cli: CommandLine, work: Callable[[], Any]) -> None:
    """Works; bad input ends it with a sentence instead of a traceback, SIGTERM with exit code 143."""
    try:
        work()
    except SIGTERMException:
        sys.exit(143)
    except USER_ERRORS as error:
        logging.getLogger(__name__).debug("traceback", exc_info=error)
        cli.parser.error(str(error))


def quiet() -> None:
    """Silences what is no news: advertising, and warnings about choices made on purpose."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(lambda record: "💡" not in record.getMessage())
    for message in (
        r".*module\(s\) in eval mode at the start of training",
        r".*does not have many workers",
        r"`isinstance\(treespec, LeafSpec\)`",
    ):
        warnings.filterwarnings("ignore", message)
