"""What ``train.py --data.root FOLDER`` chooses where no configuration is given.

Pictures of one small size are learned whole. Of others random crops are, so that the prior is one of images
of any size.
"""

import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import yaml

from lightning_inv.callbacks import GOES_ON
from lightning_inv.callbacks.places import check_no_results
from lightning_inv.command_line import fail
from lightning_inv.configuration import flags, read_config, split_words
from lightning_inv.data import ImageFolder
from lightning_inv.folders import Folder, look

WHOLE = 64
"""The pixels of the longer side, at most, of pictures that are learned whole."""
SIDES = (48, 64, 96)
"""The sides of crops, where pictures are large enough."""
WARMUP = 300
"""The steps in which the learning rate grows, in trainings that are ten times as long."""
VALIDATED = 64
"""Batches of whole pictures that a validation looks at, at most."""
NETWORK = "model.denoiser.init_args.network.init_args"


class Choice(NamedTuple):
    """A setting; it is told where there is a reason to tell."""

    key: str
    value: Any
    why: str = ""


@contextmanager
def configured(words: list[str], priors: Path) -> Iterator[tuple[list[str], str]]:
    """The words of ``train.py`` with the configuration that they lack, and what is told of it.

    Args:
        words: The words. Where they name a folder, but no class of data, it is a choice for that folder;
            else that of digits.
        priors: The folder of configurations.
    """
    asked = {short(".".join(keys)): value for keys, value in flags(words)}
    if split_words(words)[0]:
        yield words, ""
    elif "data.root" not in asked or {"data", "data.class_path"} & asked.keys():
        yield ["--config", str(priors / "digits.yaml"), *words], ""
    else:
        root = Path(asked["data.root"]).expanduser()
        saved = Path(asked.get("folder", run_folder(root))) / "config.yaml"
        goes_on = asked.get("ckpt_path") in GOES_ON and saved.exists()
        base, tree, told = _saved(saved) if goes_on else _chosen(root, priors / "folder.yaml", asked)
        with TemporaryDirectory() as place:
            (chosen := Path(place) / "folder.yaml").write_text(yaml.safe_dump(tree))
            yield ["--config", str(base), "--config", str(chosen), *words], told


def run_folder(root: Path) -> str:
    """Where a training on the pictures of a folder writes."""
    return f"runs/{root.resolve().name}"


def _saved(path: Path) -> tuple[Path, dict[str, Any], str]:
    """The settings of a run that goes on, what lies upon them, and what is told."""
    try:
        check_no_results(path.parent)  # else the settings would be those of a restoration
    except ValueError as error:
        fail(str(error))
    steps = {"init_args": {"steps": "${trainer.max_steps}"}}  # of the learning rate, with those of a flag
    return path, {"model": {"lr_scheduler": steps}}, f"Settings: those of {path}; flags win."


def _chosen(root: Path, base: Path, asked: dict[str, str]) -> tuple[Path, dict[str, Any], str]:
    """Settings of a new run, what lies upon them, and what is told."""
    try:
        folder = look(root, _channels_of(asked))
    except (ValueError, OSError) as error:
        fail(str(error))
    given = asked.get("trainer.max_steps", "")
    steps = int(given) if given.isdecimal() else read_config(base)["trainer"]["max_steps"]
    choices = choose(folder, steps, _size_of(asked), asked.get("trainer.accelerator", "auto"))
    return base, as_settings(choices), as_text(folder, choices, asked)


def choose(
    folder: Folder, max_steps: int, size: tuple[int, int] | None = None, accelerator: str = "auto"
) -> list[Choice]:
    """The settings for a folder, to lie upon those of ``configs/priors/folder.yaml``.

    Args:
        folder: The folder.
        max_steps: The steps of the training.
        size: Height and width of pictures learned whole, if the user asks for them.
        accelerator: Where the training runs, as in ``trainer.accelerator``.
    """
    sizes = {shape[1:] for shape in folder.shapes}
    whole = len(sizes) == 1 and max(*sizes.copy().pop()) <= WHOLE
    half, workers = computes_in_16_bits(accelerator), workers_for(accelerator)
    loading = [Choice("data.init_args.num_workers", workers, "processes that read them, for each device")]
    return [
        *(_whole(folder, size or sizes.pop()) if whole else _crops(folder)),
        Choice("data.init_args.root", str(folder.root)),
        Choice("data.init_args.channels", folder.channels, _why_channels(folder)),
        Choice(f"{NETWORK}.channels", folder.channels),
        *([Choice("data.init_args.val_fraction", 0.0, "there is but one")] if folder.count == 1 else []),
        *(loading if workers else []),
        Choice("model.lr_scheduler.init_args.warmup", min(WARMUP, max_steps // 10)),
        Choice(
            "trainer.precision",
            "bf16-mixed" if half else "32-true",
            f"this machine {'has' if half else 'lacks'} instructions for 16 bits",
        ),
        Choice(
            "trainer.max_steps", max_steps, "more are better; --ckpt_path last goes on where a run stopped"
        ),
        Choice("folder", run_folder(folder.root), "everything is written there"),
    ]


def _whole(folder: Folder, size: tuple[int, ...]) -> list[Choice]:
    """Settings for pictures learned whole."""
    batch = min(16, max(1, folder.count // 2))
    return [
        Choice("data.class_path", "ImageFolder"),
        Choice("data.init_args.size", list(size), "all have it, and it is small enough to learn them whole"),
        Choice("data.init_args.batch_size", batch, "images of a step, on each device"),
        Choice("data.init_args.flip", False, "true if mirror images are as likely"),
        Choice("trainer.limit_val_batches", VALIDATED),
        Choice("model.denoiser.init_args.shape", [folder.channels, *size]),
        *([Choice(f"{NETWORK}.patch", 1)] if max(size) <= WHOLE // 2 else []),
    ]


def _crops(folder: Folder) -> list[Choice]:
    """Settings for random crops; about one picture in ten, at most, is enlarged for them."""
    shorter = sorted(min(shape[1:]) for shape in folder.shapes)
    bound = shorter[len(shorter) // 10]
    sides = [side for side in SIDES if side <= bound] or [bound]
    return [
        Choice("data.class_path", "ImageCrops"),
        Choice("data.init_args.sides", sides, "of random crops, for a prior of images of any size"),
        Choice("data.init_args.size", min(64, bound)),
        Choice("data.init_args.batch_size", 16, "crops of a step, on each device"),
        Choice("data.init_args.flip", True, "mirror images are as likely; false for text and the like"),
        Choice("model.denoiser.init_args.shape", [folder.channels, None, None]),
    ]


def _why_channels(folder: Folder) -> str:
    found = Counter(shape[0] for shape in folder.shapes)
    if len(found) > 1:
        return f"{found[3]} of {len(folder.shapes)} are in colour"
    return {1: "all are grey", 3: "all are in colour"}.get(folder.channels, "all have so many")


def computes_in_16_bits(accelerator: str) -> bool:
    """Whether the machine has instructions for bfloat16.

    Args:
        accelerator: Where the training runs, as in ``trainer.accelerator``.
    """
    if accelerator == "cpu" or not torch.accelerator.is_available():
        known = getattr(torch.cpu, "get_capabilities", dict)()  # not in older ones
        return any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    supported = getattr(torch.get_device_module(), "is_bf16_supported", None)
    return supported is not None and supported(including_emulation=False)


def workers_for(accelerator: str) -> int:
    """Processes that read pictures for each device; none where the training has the same cores.

    Args:
        accelerator: Where the training runs, as in ``trainer.accelerator``.
    """
    if accelerator == "cpu" or not torch.accelerator.is_available():
        return 0
    return max(1, min(8, (os.cpu_count() or 1) // torch.accelerator.device_count() - 1))


def as_settings(choices: Sequence[Choice]) -> dict[str, Any]:
    """Choices as the content of a configuration."""
    tree: dict[str, Any] = {}
    for key, value, _ in choices:
        *above, last = key.split(".")
        node = tree
        for name in above:
            node = node.setdefault(name, {})
        node[last] = value
    return tree


def as_text(folder: Folder, choices: Sequence[Choice], asked: dict[str, str]) -> str:
    """What was chosen, and why, but for what the user asked for."""
    sizes = sorted((shape[1:] for shape in folder.shapes), key=lambda size: size[0] * size[1])
    range_ = " to ".join(dict.fromkeys(f"{H} x {W}" for H, W in (sizes[0], sizes[-1])))
    lines = [
        f"  --{short(key)} {_word(value)} ({why})"
        for key, value, why in choices
        if why and short(key) not in asked
    ]
    head = f"{folder.count} pictures in {folder.root}, of {range_} pixels. Chosen for them; flags win:"
    return "\n".join([head, *lines])


def usage(data: ImageFolder, shape: Sequence[int | None], prior: Path) -> str:
    """How the prior of a folder is used.

    Args:
        data: What it was trained on.
        shape: The shape ``(C, H, W)`` of its images.
        prior: Its file.
    """
    words = [
        "python",
        "infer.py",
        "--model.prior",
        str(prior),
        "--folder",
        f"results/{data.root.resolve().name}",
    ]
    given = data.value_range
    scale = ["--data.value_range", "[{:g},{:g}]".format(*given)] if given else []
    if None in shape:
        colours = ["--data.channels", str(shape[0])] if shape[0] != 3 else []
        return shlex.join([*words, "--data", "Photographs", *colours, *scale, "--data.path"]) + " PICTURE"
    channels, height, width = (str(length) for length in shape)
    size = height if height == width else f"[{height},{width}]"
    source = ["--data", "ImageFolder", "--data.root", str(data.root), "--data.size", size]
    skips = ["--data.skip_broken", "true"] if data.skip_broken else []
    return shlex.join([*words, *source, "--data.channels", channels, *scale, *skips])


def short(key: str) -> str:
    """A key as flags name it."""
    return key.replace(".init_args", "")


def _word(value: Any) -> str:
    """A value as a shell is given it."""
    return str(value).replace(" ", "") if isinstance(value, list) else shlex.quote(str(value))


def _channels_of(asked: dict[str, str]) -> int | None:
    """The channels that the user asks for, if they are a number."""
    value = asked.get("data.channels", "")
    return int(value) if value.isdecimal() and int(value) else None


def _size_of(asked: dict[str, str]) -> tuple[int, int] | None:
    """Height and width that the user asks for, if they are numbers."""
    found = [
        int(word) for word in asked.get("data.size", "").strip("[]()").split(",") if word.strip().isdecimal()
    ]
    return (found[0], found[-1]) if found else None
