"""What the two command lines share: files and flags merged, short errors, one voice."""

import difflib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NoReturn

import yaml
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.plugins.environments import ClusterEnvironment
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from omegaconf.errors import OmegaConfBaseException

from lightning_inv.callbacks import AtomicCheckpointIO
from lightning_inv.callbacks.logging import quiet_writers
from lightning_inv.callbacks.places import check_place
from lightning_inv.configuration import completed, merge, read_config, split_words, switch_classes
from lightning_inv.data import ImageDataModule
from lightning_inv.launchers import check_restarts, environment, layout
from lightning_inv.locks import at_work
from lightning_inv.messages import explain, sentence, shown
from lightning_inv.out_of_memory import GONE, OutOfMemory, lacks_memory, lost_worker
from lightning_inv.trusted import check_classes, check_packages, trust, trusted_by

DEFAULT_LAYOUT = {"devices": "auto", "num_nodes": 1}
"""Devices and nodes where nobody has said anything."""
LONGEST = 2000
"""The letters of a message, at most."""
BAD_INPUT = (ValueError, TypeError, ArithmeticError, OSError, ImportError)


def fail(message: str) -> NoReturn:
    """Ends the process with a message, without its middle if it is endless."""
    if len(message) > LONGEST:
        message = f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}"
    print(f"{Path(sys.argv[0]).name}: error: {shown(message)}", file=sys.stderr)  # noqa: T201 (it goes to stderr)
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


class Refusal(Callback):
    """Ends a run on all ranks, where the first one has found a problem before they could speak.

    Args:
        problem: The problem, if any.
    """

    def __init__(self, problem: str | None) -> None:
        self.problem = problem

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if problem := trainer.strategy.broadcast(self.problem):
            raise ValueError(problem)


class CommandLine(LightningCLI):
    """What both scripts share: defaults from a file, short errors, the configuration saved with the run.

    ``memory`` says what to do where memory is short.

    Args:
        model: The LightningModule to configure.
        defaults: The YAML that lies beneath all others.
        words: The words of the command line.
        settings: Settings of LightningCLI.
    """

    memory: ClassVar[str]

    def __init__(
        self, model: type[LightningModule], defaults: Path, words: list[str], **settings: Any
    ) -> None:
        quiet()
        self.trusted = trusted_by(split_words(words)[1])
        with merged(defaults, words, self.trusted) as config:
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
        parser.add_argument(
            "--packages",
            type=list[str],
            default=[],
            help="packages of yours, such as [my_file], whose classes files may name",
        )
        parser.link_arguments("folder", "trainer.default_root_dir")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        try:
            super().parse_arguments(parser, args)
            check_classes(self.config, self.trusted)
            _check_folder(self.config.folder)
            if not 0 <= (seed := int(self.config.seed_everything)) < 2**32:
                raise ValueError(f"seed_everything must be from 0 to {2**32 - 1}, got {seed}.")
        except OmegaConfBaseException as error:
            parser.error(" ".join(str(error).split("object_type")[0].split()))
        except ValueError as error:
            parser.error(str(error))
        except Exception as error:  # jsonargparse does not foresee all that a file may hold
            parser.error(f"the settings cannot be read ({type(error).__name__}: {error}).")

    def instantiate_classes(self) -> None:
        with self.plain_errors():
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        check_restarts()
        plugins = self._get(self.config_init, "trainer.plugins") or []
        plugins = plugins if isinstance(plugins, list) else [plugins]
        if not any(isinstance(plugin, ClusterEnvironment) for plugin in plugins):
            plugins = [*plugins, *environment()]
        told = {key: self._get(self.config_init, f"trainer.{key}") for key in DEFAULT_LAYOUT}
        if told == DEFAULT_LAYOUT:
            kwargs = {**layout(), **kwargs}
        trainer = super().instantiate_trainer(plugins=[*plugins, AtomicCheckpointIO()], **kwargs)
        # Lightning would look for checkpoints of its own: hpc_ckpt_1.ckpt, and those of callbacks.
        trainer._checkpoint_connector._parse_ckpt_path = lambda stage, path, **_: path
        return trainer

    @contextmanager
    def at_work(
        self,
        shared: bool = False,
        check: Callable[[Path], None] | None = None,
        problems: Iterable[str] = (),
    ) -> Iterator[None]:
        """Holds the folder on the first rank, see ``locks.at_work``; where that fails, all ranks end.

        Args:
            shared: Whether other runs may be at work there.
            check: Raises ValueError where the folder holds what this run would spoil.
            problems: The problems that have a folder within it, which are held, too: a run could be at work
                in one of them alone.
        """
        trainer, problem, folder = self.trainer, None, Path(self.config.folder)
        with ExitStack() as held:
            try:
                if trainer.is_global_zero:
                    held.enter_context(at_work(folder, shared))
                    if check is not None:
                        check(folder)
                    for name in problems:
                        check_place(folder, folder / name / "any")
                        held.enter_context(at_work(folder / name, shared))
            except (OSError, ValueError) as error:
                if trainer.world_size == 1:
                    raise
                problem, trainer.loggers = str(error), []  # these would write before ranks can speak
            trainer.callbacks.insert(0, Refusal(problem))
            yield

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Ends the process with one sentence on bad input, and with code 143 on SIGTERM."""
        try:
            with quiet_writers():
                yield
        except SIGTERMException:
            sys.exit(143)
        except (*BAD_INPUT, MisconfigurationException) as error:
            if self.config.traceback:
                raise
            self.parser.error(sentence(error, self.config.folder))
        except (MemoryError, RuntimeError) as error:
            told = self._of_surroundings(error)
            if told is None or self.config.traceback:
                raise
            self.parser.error(told)

    def _of_surroundings(self, error: Exception) -> str | None:
        """What to say where memory was short, or another process was lost; None if the error is another."""
        if isinstance(error, OutOfMemory):
            return str(error)
        if isinstance(error, RuntimeError) and any(words in str(error) for words in GONE):
            return "another process of this run has failed; its own message says why. What is done stays."
        if lost_worker(error):
            return (
                "the system has ended a process that loads images, as it does where memory is short: make "
                "data.num_workers smaller. What is done stays."
            )
        return f"memory is short: {self.memory}" if lacks_memory(error) else None


def _check_folder(folder: str) -> None:
    """Raises ValueError for a folder that Lightning would look for elsewhere than others do."""
    elsewhere = "::" in folder or "://" in folder or folder.startswith("data:")  # as fsspec takes it
    if elsewhere or (whole := os.path.expanduser(folder)) != folder:
        instead = "a path on a disk" if elsewhere else f"written out, such as {whole}"
        raise ValueError(f"--folder must be {instead}, got {folder!r}.")


@contextmanager
def merged(defaults: Path, words: list[str], trusted: Sequence[str] = ()) -> Iterator[str]:
    """A file with the defaults and every ``--config``, merged; the process sees the flags.

    LightningCLI warns about any other way of handing flags over.
    """
    files, flags = split_words(words)
    try:
        tree = {}
        for file in (defaults, *files):
            tree = merge(tree, read_config(file))
        tree = completed(switch_classes(tree, flags))
        trust(trusted)
        check_packages(tree.get("packages"), trusted)
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
        print(shown(text))  # noqa: T201 (a command line speaks to its user)


def quiet() -> None:
    """Silences what is no news: advertising, and warnings about choices made on purpose."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
        lambda record: "💡" not in record.getMessage()
    )
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong with a file is told once
    for message in (
        r".*module\(s\) in eval mode at the start of training",
        r".*does not have many workers",
        r".*dataloader is not resumable",  # ours is: its sampler counts the batches taken
        r"Total length of `DataLoader` across ranks is zero",  # all is done already
        r"`isinstance\(treespec, LeafSpec\)`",
    ):
        warnings.filterwarnings("ignore", message)
