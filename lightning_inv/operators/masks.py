"""Which pixels are seen: 1 where a pixel is seen, 0 where it is hidden; all channels alike."""

import abc
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from PIL import ImageOps
from PIL.ImageFile import ImageFile
from torch import Tensor

from lightning_inv.files import file_digest
from lightning_inv.opening import open_picture, refusing
from lightning_inv.operators.base import Images

LARGEST = 2**31
"""The bytes of a mask, at most."""
SIDEWAYS = (5, 6, 7, 8)
"""The orientations of Exif in which height and width change places: Pillow garbles such TIFFs."""


@dataclass(frozen=True)
class Mask(abc.ABC):
    """A rule that says which pixels of an image are seen."""

    @abc.abstractmethod
    def check(self, shape: tuple[int, int, int], names: Sequence[str]) -> None:
        """Raises ValueError if there is no mask for images of this shape and these names."""

    @property
    def random(self) -> bool:
        """Whether masks are drawn, rather than given."""
        return False

    def fingerprint(self) -> Any:
        """Plain data that change when a file of the masks does."""
        return None

    @abc.abstractmethod
    def draw(self, images: Images) -> Tensor:
        """The masks of these images, shape ``(B, 1, H, W)`` or ``(1, 1, H, W)``."""


@dataclass(frozen=True)
class RandomMask(Mask):
    """Pixels drawn at random, anew for each image; exactly the same number in each.

    Args:
        keep: The fraction of pixels that is seen, in (0, 1].
    """

    keep: float = 0.5
    random: ClassVar[bool] = True

    def check(self, shape: tuple[int, int, int], names: Sequence[str]) -> None:
        if not 0 < self.keep <= 1:
            raise ValueError(f"RandomMask.keep must be in (0, 1], got {self.keep}.")

    def draw(self, images: Images) -> Tensor:
        _, H, W = images.shape
        rank = images.rng.uniform((H * W,)).argsort(1).argsort(1)
        return (rank < round(self.keep * H * W)).float().view(-1, 1, H, W)


@dataclass(frozen=True)
class BoxMask(Mask):
    """A box is hidden.

    Args:
        height: The height of the box in pixels.
        width: Its width in pixels.
        place: In the middle of the image, or drawn at random for each image.
        margin: A random box keeps this distance in pixels from the border.
    """

    height: int = 12
    width: int = 12
    place: Literal["middle", "random"] = "middle"
    margin: int = 0

    @property
    def random(self) -> bool:
        return self.place == "random"

    def check(self, shape: tuple[int, int, int], names: Sequence[str]) -> None:
        if self.margin < 0 or not (
            1 <= self.height <= shape[1] - 2 * self.margin and 1 <= self.width <= shape[2] - 2 * self.margin
        ):
            raise ValueError(
                f"a hidden box of {self.height} x {self.width} with margin {self.margin} does not fit into "
                f"{shape[1]} x {shape[2]} pixels."
            )

    def draw(self, images: Images) -> Tensor:
        _, H, W = images.shape
        sides = torch.tensor([self.height, self.width])
        free = torch.tensor([H, W]) - sides - 2 * self.margin
        u = images.rng.uniform((2,)).cpu() if self.place == "random" else torch.full((1, 2), 0.5)
        top, left = (self.margin + (u * (free + (self.place == "random"))).floor()).unbind(1)
        row, column = torch.arange(H)[:, None], torch.arange(W)
        inside = (row - top.view(-1, 1, 1, 1)).div(self.height, rounding_mode="floor") == 0
        inside = inside & ((column - left.view(-1, 1, 1, 1)).div(self.width, rounding_mode="floor") == 0)
        return 1 - inside.float()


@dataclass(frozen=True)
class HalfMask(Mask):
    """Half of the image is hidden.

    Args:
        hidden: Which half.
    """

    hidden: Literal["left", "right", "top", "bottom"] = "right"

    def check(self, shape: tuple[int, int, int], names: Sequence[str]) -> None:
        if self.hidden not in ("left", "right", "top", "bottom"):
            raise ValueError(f"HalfMask.hidden must be left, right, top or bottom, got {self.hidden!r}.")

    def draw(self, images: Images) -> Tensor:
        _, H, W = images.shape
        mask = torch.ones(1, 1, H, W)
        half = {
            "left": mask[..., : W // 2],
            "right": mask[..., W - W // 2 :],
            "top": mask[..., : H // 2, :],
            "bottom": mask[..., H - H // 2 :, :],
        }
        half[self.hidden].zero_()
        return mask


@dataclass(frozen=True)
class InverseMask(Mask):
    """Sees what another mask hides: with a box, everything around it must be painted (outpainting).

    Args:
        mask: The other mask.
    """

    mask: Mask = field(default_factory=BoxMask)

    @property
    def random(self) -> bool:
        return self.mask.random

    def check(self, shape: tuple[int, int, int], names: Sequence[str]) -> None:
        self.mask.check(shape, names)

    def fingerprint(self) -> Any:
        return self.mask.fingerprint()

    def draw(self, images: Images) -> Tensor:
        return 1 - self.mask.draw(images)


@dataclass(frozen=True)
class CartesianMask(Mask):
    """Columns drawn at random, anew for each image, and those in the middle: for the Fourier domain.

    Args:
        acceleration: The number of columns over those seen, at least 1.
        centre: The fraction of columns in the middle that is always seen.
    """

    acceleration: float = 4.0
    centre: float = 0.08
    random: ClassVar[bool] = True

    def check(self, shape: tuple[int, int, int], names: Sequence[str]) -> None:
        if not self.acceleration >= 1:
            raise ValueError(f"CartesianMask.acceleration must be at least 1, got {self.acceleration}.")
        if not 0 <= self.centre <= 1 / self.acceleration:
            raise ValueError(
                f"CartesianMask.centre must be in [0, 1 / acceleration] = [0, {1 / self.acceleration:.3g}], "
                f"got {self.centre}."
            )

    def draw(self, images: Images) -> Tensor:
        _, H, W = images.shape
        score = images.rng.uniform((W,))
        width = round(self.centre * W)
        first = W // 2 - width // 2
        score[:, first : first + width] = -1
        rank = score.argsort(1).argsort(1)
        return (rank < max(1, round(W / self.acceleration))).float()[:, None, None].expand(-1, 1, H, W)


@dataclass(frozen=True)
class MaskFile(Mask):
    """One mask for all images: an image file, white where a pixel is seen.

    Args:
        path: The file; its size is that of the images.
    """

    path: str

    def check(self, shape: tuple[int, int, int], names: Sequence[str]) -> None:
        read_mask(Path(self.path), shape)

    def fingerprint(self) -> Any:
        return file_digest(Path(self.path), LARGEST)

    def draw(self, images: Images) -> Tensor:
        return read_mask(Path(self.path), images.shape)[None]


@dataclass(frozen=True)
class MaskFolder(Mask):
    """A mask for each image: the image file of the same name in a folder, white where a pixel is seen.

    Args:
        folder: The folder; the mask of the image ``a/b.jpg`` is ``a/b.png`` in it.
    """

    folder: str

    def check(self, shape: tuple[int, int, int], names: Sequence[str]) -> None:
        for name in names:
            read_mask(self.path(name), shape)

    def fingerprint(self) -> Any:
        root, seen, found = Path(self.folder), {}, []
        for folder, folders, names in os.walk(root, followlinks=True):
            place = Path(folder).relative_to(root)
            first = seen.setdefault(os.path.realpath(folder), place)
            if first != place:  # a link to a folder that was seen already, perhaps one above
                folders.clear()
                found.append((place, first.as_posix()))
                continue
            folders.sort()
            files = (Path(folder, name) for name in names if name.endswith(".png"))
            found += [(place / file.name, file_digest(file, LARGEST)) for file in files]
        return [[place.as_posix(), told] for place, told in sorted(found)]

    def path(self, name: str) -> Path:
        """The file of the mask of the image ``name``."""
        return Path(self.folder) / f"{name}.png"

    def draw(self, images: Images) -> Tensor:
        return torch.stack([read_mask(self.path(name), images.shape) for name in images.names])


def read_mask(path: Path, shape: tuple[int, int, int]) -> Tensor:
    """1 where the image, upright, is brighter than the middle of its range, else 0, shape ``(1, H, W)``.

    Raises:
        ValueError: There is no such file, it cannot be decoded, nobody can tell its range, or it is not of
            the size of ``shape``.
    """
    if not path.is_file():
        raise ValueError(f"there is no mask {path}.")
    try:
        with refusing(), open_picture(path) as image:
            seen = _seen(image)
    except ValueError as error:
        raise ValueError(f"the mask {path} cannot be read: {error}.") from None
    _, H, W = shape
    if seen.shape != (H, W):
        found = " x ".join(map(str, seen.shape))
        raise ValueError(f"the mask {path} has {found} pixels, the images have {H} x {W}.")
    return torch.from_numpy(seen).float()[None]


def _seen(image: ImageFile) -> np.ndarray:
    """Where an open picture, upright, is brighter than the middle of its range; Pillow would clip to 8 bits.

    Raises:
        ValueError: Its numbers are of no known range, or Pillow does not give them as they are meant.
    """
    deep, told = image.mode.startswith(("I", "F")), image.tag_v2 if image.format == "TIFF" else {}
    if told.get(274) in SIDEWAYS or (deep and told.get(262) == 0):
        raise ValueError("it is a TIFF on its side, or of 16 bits with 0 as white; save it as a PNG")
    upright = ImageOps.exif_transpose(image)
    if not deep:
        return _above(np.asarray(upright.convert("L")), 255)
    values, most = np.asarray(upright), 1.0 if image.mode == "F" else 65535.0
    low, high = values.min(), values.max()
    if (image.mode == "I" and image.format != "PPM") or not (low >= 0 and high <= most):
        raise ValueError(f"its numbers, from {low:g} to {high:g}, are neither of 8 or 16 bits nor in [0, 1]")
    return _above(values, most)


def _above(values: np.ndarray, most: float) -> np.ndarray:
    """Where numbers are above the middle of their range; some must be, if any is seen at all."""
    if 0 < values.max() <= most / 2:
        raise ValueError(
            f"its greatest number is {values.max():g} of {most:g}, so that nothing would be seen; what is "
            "seen must be white"
        )
    return values > most / 2
