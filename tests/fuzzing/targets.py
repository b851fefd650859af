"""What reads files from elsewhere, and what it may answer."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

from fuzzing import seeds
from fuzzing.seeds import CONFIGS, Seeds
from fuzzing.words import CLASSES, PARTS, PICKLE, YAML
from lightning_inv.callbacks import report
from lightning_inv.callbacks.checkpoint_io import check_checkpoint
from lightning_inv.callbacks.checkpoints import newest
from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.spread import SampleFiles, record
from lightning_inv.cli import InferCommandLine, TrainCommandLine
from lightning_inv.configuration import completed, merge, read_config, switch_classes
from lightning_inv.data.contents import FileContents
from lightning_inv.data.decoding import image_shape, verify
from lightning_inv.data.image_files import open_image, read_image
from lightning_inv.modules import PriorTraining, Restoration
from lightning_inv.priors import load_prior, read_provenance

FLAGS = ["--model.solvers.reddiff=DDRM", "--model.prior", "a", "--data=Digits", "--data.limit=3"]
LINES, LETTERS = 5, 3000
"""What a command line says of bad input, at most."""


class Target(NamedTuple):
    """Something that reads files.

    Args:
        seeds: Makes valid files.
        attack: Has a file read and says whether it was accepted; raises whatever is a fault. Beside the file
            it may write.
        words: What is put into files.
    """

    seeds: Callable[[], Seeds]
    attack: Callable[[Path], bool]
    words: tuple[str, ...] = ()


class FaultError(Exception):
    """An answer that is none."""


def answer(read: Callable[[], Any], *names: Path | str) -> Any:
    """What ``read`` returns, or the message of its error, which must have one of the names in it."""
    try:
        return read()
    except (ValueError, OSError) as error:
        if names and not any(str(name) in str(error) for name in names):
            raise FaultError(f"the message does not name the file: {error}") from error
        return f"{type(error).__name__}: {error}"


def attack_image(path: Path) -> bool:
    """Decodes an image in all ways, from a path and from memory."""
    contents, accepted = FileContents(str(path), path.read_bytes()), False
    for channels in (1, 3, 4):
        read = answer(lambda c=channels: read_image(path, c), path)
        _same(read, answer(lambda c=channels: read_image(contents, c), path))
        checked = answer(lambda c=channels: verify(path, c, None))
        if isinstance(read, str) != isinstance(checked, str):
            raise FaultError(f"read_image gives {read!s:.300}, but verify gives {checked!s:.300}")
        shape = answer(lambda c=channels: image_shape(path, c))
        if torch.is_tensor(read) and tuple(read.shape[1:]) != tuple(shape[1:]):
            raise FaultError(f"an image of shape {tuple(read.shape)} is told to have {shape}")
        accepted |= torch.is_tensor(read)
    answer(lambda: image_shape(path, None))
    answer(lambda: read_image(path, 1, (5, 4), (0.0, 300.0)), path)
    answer(lambda: open_image(path, 3, least=2).fit((2, 2)).pixels(), path)
    return accepted


def _same(one: Any, other: Any) -> None:
    """Raises FaultError where a path and what it holds are read in two ways."""
    if (
        "MemoryError" in f"{one} {other}"
    ):  # a file is asked for as many bytes as it tells; memory gives what it has
        return
    both = torch.is_tensor(one) and torch.is_tensor(other)
    if not (torch.equal(one, other) if both else isinstance(one, str) and isinstance(other, str)):
        raise FaultError(f"of a path {one!s:.300}, of its contents {other!s:.300}")


def attack_prior(path: Path) -> bool:
    """Loads a prior and its provenance."""
    provenance = answer(lambda: read_provenance(path), path)
    return not (isinstance(answer(lambda: load_prior(path), path), str) or isinstance(provenance, str))


def attack_checkpoint(path: Path) -> bool:
    """Asks whether a training may go on from a checkpoint, the newest where it is the only one."""
    folder = path.parent / "checkpoints"
    folder.mkdir(exist_ok=True)
    (folder / "last.ckpt").unlink(missing_ok=True)
    (folder / "last.ckpt").symlink_to(path)
    answer(lambda: newest(folder), folder)
    return not isinstance(answer(lambda: check_checkpoint(path), path), str)


def attack_results(path: Path) -> bool:
    """Goes on with a folder of results, of which one file is that one, and reports on it."""
    folder = path.parent / "job" / "results"
    _fill(folder, path)
    manifest = Manifest(folder)
    opened = answer(lambda: manifest.open(seeds.SETTINGS, overwrite=False), folder)
    answer(lambda: manifest.read(range(4)), folder)
    samples = SampleFiles(folder / "tallies", manifest.parts)
    answer(samples.drawn, folder)
    merged = answer(lambda: [record(tally, "image3", None) for tally in samples.complete([3], 2)], folder)
    reported = answer(lambda: report(folder, range(4), {"samples": 2}), folder)
    answer(lambda: manifest.open({**seeds.SETTINGS, "samples": 3}, overwrite=True), folder)
    if not folder.is_dir():
        raise FaultError("the folder of results is gone")
    return not any(isinstance(found, str) for found in (opened, merged, reported))


def _fill(folder: Path, changed: Path) -> None:
    """A folder of results of three images and two samples of a fourth."""
    places = {
        ".json": "manifest.json",
        ".jsonl": "records/1-a-1.jsonl",
        ".safetensors": "tallies/3-1.safetensors",
    }
    for part in folder.rglob("*"):
        if part.is_file():
            part.unlink()
    for name, contents in seeds.result_seeds().items():
        place = folder / places[Path(name).suffix]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(changed.read_bytes() if changed.suffix == place.suffix else contents)
    seeds.tally([1]).write(folder / "tallies" / "3-2.safetensors", folder)


def attack_config(path: Path) -> bool:
    """Reads a configuration and merges it with others, as the command lines do."""
    _link(path.parent)
    tree = answer(lambda: read_config(path), path.parent)
    if isinstance(tree, str):
        return False
    try:
        merged = completed(switch_classes(merge(read_config(CONFIGS / "infer.yaml"), tree), FLAGS))
        yaml.safe_dump(completed(merge(tree, read_config(CONFIGS / "compare.yaml"))))
        yaml.safe_dump(merged)
    except (ValueError, yaml.YAMLError):
        return False
    return True


def _link(folder: Path) -> None:
    """Puts what the shipped configurations include beside a changed one."""
    for name in ("solvers", "problems", "priors"):
        if not (folder / name).exists():
            (folder / name).symlink_to(CONFIGS / name)


def attack_command(path: Path) -> bool:
    """Hands a configuration over to both command lines, which parse it and build nothing."""
    _link(path.parent)
    train = [str(path), "--data.class_path=Digits", "--trainer.logger=false"]
    one = _parsed(InferCommandLine, Restoration, CONFIGS / "infer.yaml", [str(path)])
    return _parsed(TrainCommandLine, PriorTraining, CONFIGS / "train.yaml", train) or one


def _parsed(kind: type, model: type, defaults: Path, words: list[str]) -> bool:
    """Whether a command line accepts a configuration; raises FaultError unless it refuses it shortly."""

    class Parsed(kind):
        def instantiate_classes(self) -> None:
            pass

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()), _quiet_name():
            Parsed(model, defaults, ["--config", *words])
    except SystemExit as ended:
        text = said.getvalue()
        if (
            ended.code != 2
            or "Traceback" in text
            or not 0 < len(text.splitlines()) <= LINES
            or len(text) > LETTERS
        ):
            raise FaultError(f"it ended with {ended.code} and said: {text}") from None
        return False
    return True


@contextlib.contextmanager
def _quiet_name() -> Iterator[None]:
    """Keeps the words of this process from the command line."""
    saved = sys.argv
    sys.argv = ["infer.py"]
    try:
        yield
    finally:
        sys.argv = saved


TARGETS = {
    "image": Target(
        seeds.image_seeds, attack_image, ("Exif\0\0", "IEND", "1e400", "'|O'", "(-1,)", "(2,) * 9")
    ),
    "prior": Target(
        seeds.prior_seeds, attack_prior, (*CLASSES, "class_path", "init_args", "F64", "BF16", "F8_E4M3")
    ),
    "checkpoint": Target(seeds.checkpoint_seeds, attack_checkpoint, PICKLE),
    "results": Target(
        seeds.result_seeds, attack_results, ("NaN", "Infinity", "1e999", "[" * 3000, "index", "ddrm")
    ),
    "config": Target(seeds.config_seeds, attack_config, (*CLASSES, *PARTS, *YAML)),
    "command": Target(seeds.config_seeds, attack_command, (*CLASSES, *PARTS)),
}
"""All that is attacked, in turn."""
