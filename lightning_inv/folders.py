"""What the headers of the pictures in a folder tell."""

from pathlib import Path
from typing import NamedTuple

from lightning_inv.data.decoding import image_shape
from lightning_inv.data.image_files import find_images

LOOKED_AT = 1000
"""Pictures whose headers are read, at most."""
LEAST = 8
"""The pixels of the shorter side, at least, of every picture."""


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
