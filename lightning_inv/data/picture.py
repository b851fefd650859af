"""A decoded image file, to be scaled and cut before it becomes a tensor."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

LANCZOS = Image.Resampling.LANCZOS


class Picture:
    """Planes of one size, as Pillow scales them.

    Args:
        planes: One of mode ``L`` or ``RGB``, or one for each channel, of mode ``L`` (8 bits) or ``F``
            (numbers in [0, 1], 32 bits).
    """

    def __init__(self, *planes: Image.Image) -> None:
        self.planes = planes

    @classmethod
    def of(cls, values: np.ndarray) -> "Picture":
        """A picture of numbers in [0, 1], shape ``(C, H, W)``."""
        return cls(*(Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32)) for plane in values))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.planes[0].size

    @property
    def memory(self) -> int:
        """The bytes that the pixels take."""
        width, height = self.size
        return (
            width
            * height
            * sum(len(plane.getbands()) * (4 if plane.mode == "F" else 1) for plane in self.planes)
        )

    def resize(self, size: Sequence[int], box: tuple[float, float, float, float] | None = None) -> "Picture":
        """The picture, or the part of it in a box, scaled to a width and a height by Lanczos' kernel."""
        # A box is a crop, of which many are drawn: a first, coarse reduction makes them faster.
        gap = None if box is None else 3.0
        return Picture(*(plane.resize(tuple(size), LANCZOS, box, reducing_gap=gap) for plane in self.planes))

    def fit(self, size: tuple[int, int]) -> "Picture":
        """The picture scaled to cover a width and a height, cut in the middle."""
        if self.size == size:
            return self
        return Picture(*(ImageOps.fit(plane, size, LANCZOS) for plane in self.planes))

    def pixels(self) -> Tensor:
        """Shape ``(C, H, W)`` in [-1, 1]."""
        return torch.cat([_pixels(plane) for plane in self.planes])


def _pixels(plane: Image.Image) -> Tensor:
    """The channels of one plane, in [-1, 1]."""
    values = np.array(plane, dtype=np.float32)
    # Scaling 8 bits stops at black and white; numbers go past them.
    scaled = values.clip(0, 1) * 2 - 1 if plane.mode == "F" else values / 127.5 - 1
    tensor = torch.from_numpy(scaled)
    return tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1).contiguous()
