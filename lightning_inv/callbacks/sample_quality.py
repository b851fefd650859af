"""Whether samples of a prior are new, and how far from real images they are."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from lightning_inv.callbacks.pictures import write_png
from lightning_inv.callbacks.training import draw, grid_of
from lightning_inv.data import ImageDataModule
from lightning_inv.files import atomic_write
from lightning_inv.frozen import frozen
from lightning_inv.modules import PriorTraining
from lightning_inv.perceptual import UNAVAILABLE, fid, reason
from lightning_inv.solvers import Unconditional

SIDE = 32
"""Images are compared at no more than so many pixels a side."""
HELD_OUT = 1000
"""Held-out images that are looked at, at most."""
SHOWN = 32
"""Samples that are shown beside their neighbours, at most."""
COPIED = 0.5
"""Samples so near to training images, relative to held-out images, are taken for copies."""
ENOUGH = 500
"""A FID of fewer samples says nothing."""


class Neighbours(NamedTuple):
    """The nearest image of each of some images."""

    distances: Tensor
    """Root mean squares over pixels, shape ``(B,)``; infinite where there is no image."""
    images: Tensor
    """The nearest images of the first, shape ``(shown, C, H, W)``."""


def nearest(x: Tensor, images: Iterable[Tensor], shown: int = SHOWN) -> Neighbours:
    """The nearest of images, shrunk to at most 32 x 32 pixels.

    Args:
        x: What to find neighbours of, shape ``(B, C, H, W)``.
        images: Batches of images of that shape.
        shown: Of how many of x the neighbours are kept.
    """
    small, first = thumbnails(x), torch.zeros_like(x[:shown])
    found = Neighbours(torch.full((len(x),), torch.inf), first)
    for batch in images:
        distances, index = (torch.cdist(small, thumbnails(batch)) / small.shape[1] ** 0.5).min(1)
        nearer = distances < found.distances
        found.distances[nearer] = distances[nearer]
        first[nearer[:shown]] = batch[index[:shown][nearer[:shown]]]
    return found


def thumbnails(x: Tensor) -> Tensor:
    """The pixels of images that are shrunk by averaging, shape ``(B, n)``."""
    return F.adaptive_avg_pool2d(x, [min(side, SIDE) for side in x.shape[-2:]]).flatten(1)


class SampleQuality(Callback):
    """At the end of a training, looks whether its samples are new images or copies of training images.

    The distance of each sample to the nearest training image is compared with that of held-out images, which
    are new for sure. ``quality.json`` has the medians; ``copied`` is true if that of samples is less than
    half of the other. ``neighbours.png`` shows samples, each with its neighbour to the right. Copies that
    are shifted or scaled against a training image are not found.

    Args:
        folder: The folder of both files.
        count: The number of samples; 0 for none. With 500 or more there is a FID besides.
        steps: The denoising steps of each.
        images: How many training images, evenly spread, are compared with; training on crops, crops.
        features: A classifier of images in [-1, 1]; the FID looks at what its last linear layer is given. If
            None, at Inception.
        weights: A safetensors file with the state of ``features``, or the name of one that ships with the
            package; None for a network that has its weights.
        seed: The noise follows from it.

    Raises:
        ValueError: ``count`` is negative, or ``images`` less than 1.
    """

    def __init__(
        self,
        folder: str = "runs/prior",
        count: int = 0,
        steps: int = 50,
        images: int = 10000,
        features: nn.Module | None = None,
        weights: str | None = None,
        seed: int = 0,
    ) -> None:
        if count < 0 or images < 1:
            raise ValueError(
                f"quality.count must be at least 0 and quality.images at least 1, got {count} and {images}."
            )
        self.folder, self.count, self.images, self.seed = Path(folder), count, images, seed
        self.solver = Unconditional(steps)
        self.features = None if features is None else frozen(features, weights)

    def on_fit_start(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        self.solver.check(pl_module.denoiser, None)

    def on_train_end(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        if not self.count:
            return
        samples = draw(trainer, pl_module, self.solver, self.count, self.seed)
        if trainer.is_global_zero:
            self.write(samples, trainer.datamodule)

    def write(self, samples: Tensor, data: ImageDataModule) -> dict[str, Any]:
        """Writes both files for any samples, and returns what ``quality.json`` says.

        Args:
            samples: The samples in [-1, 1], shape ``(B, C, H, W)``, on the CPU.
            data: The images that their prior was trained on.
        """
        held_out = [batch["image"] for batch in data.examples("val", HELD_OUT)]
        found = nearest(torch.cat([samples, *held_out]), self._trained_on(data))
        own, other = found.distances[: len(samples)].median(), found.distances[len(samples) :].median()
        told = {
            "samples": len(samples),
            "held_out_images": len(found.distances) - len(samples),
            "median_distance_of_samples": number(own),
            "median_distance_of_held_out": number(other),
            "copied": bool(own < COPIED * other) if other.isfinite() and other > 0 else None,
            **self._fid(samples, data),
        }
        shown = samples[:SHOWN]
        rows = torch.stack([shown, found.images[: len(shown)]], 1).flatten(0, 1)
        write_png(self.folder / "neighbours.png", 2 * grid_of(rows, 8) - 1)
        with atomic_write(self.folder / "quality.json") as file:
            file.write(json.dumps(told, indent=2).encode())
        return told

    def _trained_on(self, data: ImageDataModule) -> Iterator[Tensor]:
        """Batches of training images, mirrored too if training mirrors them."""
        for batch in data.examples("train", self.images):
            yield batch["image"]
            if data.flip:
                yield batch["image"].flip(-1)

    def _fid(self, samples: Tensor, data: ImageDataModule) -> dict[str, Any]:
        """The FID of samples and training images, or why there is none."""
        if len(samples) < ENOUGH:
            return {"fid": None, "why_no_fid": f"fewer than {ENOUGH} samples"}
        try:
            return {"fid": fid(samples, self._trained_on(data), self.features)}
        except UNAVAILABLE as error:
            return {"fid": None, "why_no_fid": reason(error)}


def number(value: Tensor) -> float | None:
    """A number for JSON: None for none."""
    return value.item() if value.isfinite() else None
