"""What ``train.py --data.root FOLDER`` chooses where no configuration is given.

Pictures of one small size are learned whole. Of others random crops are, so that the prior is one of images
of any size.
"""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import yaml

from lightning_inv.command_line import fail
from lightning_inv.configuration import flags, read_config, split_words
from lightning_inv.data import ImageDataModule
from lightning_inv.data.decoding import image_shape
from lightning_inv.data.image_files import find_images

LOOKED_AT = 1000
"""Pictures whose headers are read, at most."""
WHOLE = 64
"""The pixels of the longer side, at most, of pictures that are learned whole."""
SIDES = (48, 64, 96)
"""The sides of crops, where pictures are large enough."""
LEAST = 8
"""The pixels of the shorter side, at least, of every picture."""
NETWORK = "model.denoiser.init_args.network.init_args"


class Folder(NamedTuple):
    """What the headers tell of the pictures in a folder.

    Args:
        root: The folder.
        count: The pictures in it.
        shapes: The shapes ``(C, H, W)`` of those that were looked at.
        channels: The channels that all are to have.
    """

    root: Path
    count: int
    shapes: list[tuple[int, int, int]]
    channels: int


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
        base = priors / "folder.yaml"
        steps = read_config(base)["trainer"]["max_steps"]
        try:
            folder = look(Path(asked["data.root"]).expanduser(), _channels_of(asked))
        except (ValueError, OSError) as error:
            fail(str(error))
        choices = choose(folder, steps, _size_of(asked), asked.get("trainer.accelerator", "auto"))
        with TemporaryDirectory() as place:
            (chosen := Path(place) / "folder.yaml").write_text(yaml.safe_dump(as_settings(choices)))
            yield ["--config", str(base), "--config", str(chosen), *words], as_text(folder, choices, asked)


def look(root: Path, channels: int | None = None) -> Folder:
    """Looks at the headers of the pictures in a folder, of at most ``LOOKED_AT``, evenly spread.

    Args:
        root: The folder.
        channels: The channels that the user asks for, if so.

    Raises:
        FileNotFoundError: There is no such folder, or no picture in it.
        ValueError: No picture can be read, one is too small, or their channels do not fit each other.
    """
    files, shapes, why = find_images(root), {}, ""
    for file in files[:: -(-len(files) // LOOKED_AT)]:
        try:
            shapes[file] = image_shape(file, channels)
        except ValueError as error:  # the data module stops there, or leaves it out
            why = why or f"{file} cannot be read as an image: {error}."
    if not shapes:
        raise ValueError(why)
    for file, (_, H, W) in shapes.items():
        if min(H, W) < LEAST:
            raise ValueError(
                f"{file} has {H} x {W} pixels; to train on, it needs {LEAST} x {LEAST} at least."
            )
    return Folder(root, len(files), list(shapes.values()), channels or _common_channels(shapes))


def _common_channels(shapes: dict[Path, tuple[int, int, int]]) -> int:
    """The channels of pictures; RGB if some are grey and others RGB."""
    example = {shape[0]: file for file, shape in shapes.items()}
    if len(example) > 1 and set(example) != {1, 3}:
        (one, a), (other, b) = sorted(example.items())[-2:]
        raise ValueError(
            f"a prior is one of so many channels, but {a} has {one} and {b} has {other}; "
            "only grey and RGB become each other."
        )
    return max(example)


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
    half = computes_in_16_bits(accelerator)
    return [
        *(_whole(folder, size or sizes.pop()) if whole else _crops(folder)),
        Choice("data.init_args.root", str(folder.root)),
        Choice("data.init_args.channels", folder.channels, _why_channels(folder)),
        Choice(f"{NETWORK}.channels", folder.channels),
        *([Choice("data.init_args.val_fraction", 0.0, "there is but one")] if folder.count == 1 else []),
        Choice(
            "trainer.precision",
            "bf16-mixed" if half else "32-true",
            f"this machine {'has' if half else 'lacks'} instructions for 16 bits",
        ),
        Choice(
            "trainer.max_steps", max_steps, "more are better; --ckpt_path last goes on where a run stopped"
        ),
        Choice("folder", f"runs/{folder.root.resolve().name}", "everything is written there"),
    ]


def _whole(folder: Folder, size: tuple[int, ...]) -> list[Choice]:
    """Settings for pictures learned whole."""
    batch = min(16, max(1, folder.count // 2))
    return [
        Choice("data.class_path", "ImageFolder"),
        Choice("data.init_args.size", list(size), "all have it, and it is small enough to learn them whole"),
        Choice("data.init_args.batch_size", batch, "" if batch == 16 else f"there are but {folder.count}"),
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


def usage(data: ImageDataModule, shape: Sequence[int | None], prior: Path) -> str:
    """How the prior of a folder is used.

    Args:
        data: What it was trained on.
        shape: The shape ``(C, H, W)`` of its images.
        prior: Its file.
    """
    words = ["python", "infer.py", "--model.prior", str(prior)]
    if None in shape:
        colours = ["--data.channels", str(shape[0])] if shape[0] != 3 else []
        return shlex.join([*words, "--data", "Photographs", *colours, "--data.path"]) + " PICTURE"
    channels, height, width = (str(length) for length in shape)
    size = height if height == width else f"[{height},{width}]"
    source = ["--data", "ImageFolder", "--data.root", str(data.root), "--data.size", size]
    return shlex.join([*words, *source, "--data.channels", channels, "--folder", f"results/{data.root.name}"])


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
