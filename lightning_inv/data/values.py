"""The numbers of a file that is no picture of 8 bits: their channels and their range."""

import math
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags

from lightning_inv.arrays import KINDS

LUMA = (0.299, 0.587, 0.114)
ORIENTATION = ExifTags.Base.Orientation
SIDEWAYS = frozenset({5, 6, 7, 8})
"""The orientations in which height and width change places; a file may hold any number there."""


class Misfit(ValueError):
    """A file that can be decoded, but does not fit a setting.

    Args:
        why: The reason.
        setting: The setting, as ``data.channels``.
    """

    def __init__(self, why: str, setting: str) -> None:
        super().__init__(why)
        self.setting = setting


class Numbers(NamedTuple):
    """What a file holds that is no picture of 8 bits.

    Args:
        values: Shape ``(H, W)``, or with channels.
        axis: The axis of the channels, where the file tells it.
        alpha: Whether the last channel is the opacity.
        orientation: How the image is to be turned, as in Exif; 1 if it is upright.
        weighted: Whether the values are multiplied by the opacity.
    """

    values: np.ndarray
    axis: int | None = None
    alpha: bool = False
    orientation: int = 1
    weighted: bool = False


def channels_first(numbers: Numbers, channels: int | None) -> np.ndarray:
    """The values in the shape ``(C, H, W)``, the opacity left out unless it was asked for."""
    values = numbers.values
    if values.ndim == 2:
        return values[None]
    if values.ndim != 3:
        raise ValueError(f"it has shape {values.shape}, not (H, W), (H, W, C) or (C, H, W)")
    axis = _axis(values.shape, channels) if numbers.axis is None else numbers.axis
    values = np.moveaxis(values, axis, 0)
    return values[:-1] if numbers.alpha and len(values) != channels else values


def _axis(shape: tuple[int, ...], channels: int | None) -> int:
    """Which end of a shape is that of the channels."""
    if channels is None:
        return 0 if shape[0] < shape[2] else 2
    for wanted in (channels, {1: 3, 3: 1}.get(channels)):
        ends = [axis for axis in (0, 2) if shape[axis] == wanted]
        if len(ends) == 2:
            raise ValueError(f"its shape {shape} has {wanted} at both ends, where the channels may be")
        if ends:
            return ends[0]
    why = f"no end of its shape {shape} is {channels}, the channels asked for (data.channels)"
    raise Misfit(why, "data.channels")


def checked(
    numbers: Numbers, channels: int, value_range: tuple[float, float] | None
) -> tuple[np.ndarray, float, float]:
    """The values as they are stored, without opacity, and the numbers that are black and white.

    Args:
        numbers: The numbers.
        channels: The channels asked for; grey and RGB become each other later.
        value_range: The numbers that are black and white; None for those of the type.

    Returns:
        Values, shape ``(C, H, W)``, black, white.

    Raises:
        Misfit: There are other channels, or numbers beyond the range.
        ValueError: There are numbers that are none.
    """
    values = channels_first(numbers, channels)
    if values.dtype.kind not in KINDS:
        raise ValueError(f"it holds {values.dtype}, not real numbers")
    low, high = _known_range(values.dtype) if value_range is None else value_range
    least, most = float(values.min()), float(values.max())
    if not (low <= least and most <= high):  # not a number fails, too
        why = f"its values reach from {least:g} to {most:g}, beyond [{low:g}, {high:g}]"
        if not math.isfinite(most - least):
            raise ValueError(why)
        raise Misfit(f"{why}; data.value_range says which are black and white", "data.value_range")
    if len(values) != channels and {len(values), channels} != {1, 3}:
        raise other_channels(len(values), channels)
    return values, low, high


def image_of(numbers: Numbers, channels: int, value_range: tuple[float, float] | None) -> np.ndarray:
    """The image that the numbers are, in [0, 1], shape ``(channels, H, W)``, over white.

    Raises:
        Misfit: As in ``checked``.
        ValueError: As in ``checked``.
    """
    values, low, high = checked(numbers, channels, value_range)
    x = _over_white(((values - np.float64(low)) / (high - low)).astype(np.float32), numbers)
    if len(x) == channels:
        return x
    return np.tensordot(np.float32(LUMA), x, 1)[None] if channels == 1 else np.repeat(x, 3, 0)  # as Pillow


def _known_range(kind: np.dtype[Any]) -> tuple[float, float]:
    """The numbers that are black and white where the user does not say."""
    if kind.kind in "fb":
        return 0.0, 1.0
    if kind.kind == "u" and kind.itemsize <= 2:
        return 0.0, float(np.iinfo(kind).max)
    why = f"its values of the type {kind} have no known range; data.value_range gives one"
    raise Misfit(why, "data.value_range")


def _over_white(values: np.ndarray, numbers: Numbers) -> np.ndarray:
    """The values as they are seen before white: x a + 1 - a, a being the opacity.

    Args:
        values: In [0, 1], shape ``(C, H, W)``.
        numbers: What they were made of.
    """
    stored = np.moveaxis(numbers.values, numbers.axis, 0) if numbers.alpha else values
    if len(stored) == len(values):  # nothing was left out
        return values
    most = np.iinfo(stored.dtype).max if stored.dtype.kind in "ui" else 1
    opacity = (stored[-1] / np.float64(most)).clip(0, 1)
    light = values if numbers.weighted else values * opacity
    return np.minimum(light + (1 - opacity), 1).astype(np.float32)


def other_channels(found: int, channels: int) -> Misfit:
    """What is wrong with a file of so many channels where others were asked for."""
    why = f"it has {found} channel{'s' * (found > 1)}, but {channels} were asked for (data.channels)"
    return Misfit(why, "data.channels")
