"""A denoiser that sees an image piece by piece."""

import math
from collections.abc import Iterator
from itertools import islice, product

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lightning_inv.denoisers.base import Denoiser, Estimate
from lightning_inv.denoisers.sized import told


class TiledDenoiser(Denoiser):
    """Estimates tiles of an image and blends them, so that the memory of the network is that of a few tiles.

    It is so for a gradient, too: nothing inside the network is kept, but computed again tile by tile.

    Tiles lie on a grid, the last of a row or column shifted inside. Where they overlap, each is faded out by
    a raised cosine over the middle half of the overlap, and what lies beyond, a quarter of it, is left out:
    there a tile knows least of what surrounds a pixel. A network whose output at a pixel depends on no pixel
    farther than a quarter of the overlap, and on no grid that tiles do not share, such as that of its strides
    where sides are no multiples of them, gives what it would give of the whole image. Weights sum to one, so
    x = sum_i w_i x_i and eps = sum_i w_i eps_i still fulfil x_t = alpha_t x + sigma_t eps, and tiles share
    their noise, which is that of x_t.

    An image that is no larger than a tile is estimated as a whole. One call of this denoiser counts as one
    evaluation, however many tiles it takes.

    Overlapping estimates are blended at every step as in Bar-Tal et al. (2023), MultiDiffusion,
    https://arxiv.org/abs/2302.08113; the weights here are ours.

    Args:
        denoiser: A denoiser of images of any size.
        tile: The side of a tile in pixels; a multiple of the strides of the network loses least.
        overlap: The pixels that neighbours share; likewise.
        batch: Tiles that the network is given at a time.

    Raises:
        ValueError: The denoiser is one of images of one size, or a number is out of its range.
    """

    def __init__(self, denoiser: Denoiser, tile: int = 128, overlap: int = 32, batch: int = 4) -> None:
        super().__init__()
        if not denoiser.any_size:
            raise ValueError(f"tiles need a prior of images of any size, got one of {told(denoiser.shape)}.")
        if tile < 1 or batch < 1:
            raise ValueError(f"tile and batch must be at least 1, got {tile} and {batch}.")
        if not 0 <= overlap < tile:
            raise ValueError(f"overlap must be in [0, tile={tile}), got {overlap}.")
        self.denoiser, self.schedule, self.shape = denoiser, denoiser.schedule, denoiser.shape
        self.num_classes = denoiser.num_classes
        self.tile, self.overlap, self.batch = tile, overlap, batch

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        H, W = x_t.shape[-2:]
        if max(H, W) <= self.tile:
            return self.denoiser(x_t, t, label)
        rows, columns = (self._windows(side, x_t) for side in (H, W))
        x, eps = torch.zeros_like(x_t), torch.zeros_like(x_t)
        places = product(range(len(x_t)), rows.items(), columns.items())
        while some := list(islice(places, self.batch)):
            estimate = self._estimate(x_t, t, label, [(b, top, left) for b, (top, _), (left, _) in some])
            for (b, (top, down), (left, across)), x_i, eps_i in zip(some, *estimate, strict=True):
                window, where = down[:, None] * across, (b, *self._slices(top, left))
                x[where] += window * x_i
                eps[where] += window * eps_i
        return Estimate(x, eps)

    def _estimate(
        self, x_t: Tensor, t: Tensor, label: Tensor | None, places: list[tuple[int, int, int]]
    ) -> Estimate:
        """The estimates of the tiles at (image, top, left)."""
        tiles = torch.stack([x_t[(b, *self._slices(top, left))] for b, top, left in places])
        images = [b for b, _, _ in places]
        given = tiles, t[images] if t.ndim else t, None if label is None else label[images]
        if tiles.requires_grad:
            return checkpoint(self.denoiser, *given, use_reentrant=False, preserve_rng_state=False)
        return self.denoiser(*given)

    def _slices(self, top: int, left: int) -> tuple[slice, slice, slice]:
        """Where a tile lies in an image."""
        return slice(None), slice(top, top + self.tile), slice(left, left + self.tile)

    def _windows(self, side: int, x_t: Tensor) -> dict[int, Tensor]:
        """The first pixel of each tile along a side, and the weights of its pixels; they sum to one."""
        starts, length = list(tile_starts(side, self.tile, self.overlap)), min(self.tile, side)
        fade = fade_in(self.overlap, length)
        total, windows = torch.zeros(side), {}
        for start in starts:
            window = torch.ones(length)
            window = window if start == 0 else window * fade
            windows[start] = window if start == starts[-1] else window * fade.flip(0)
            total[start : start + length] += windows[start]
        return {start: (window / total[start : start + length]).to(x_t) for start, window in windows.items()}


def tile_starts(side: int, tile: int, overlap: int) -> Iterator[int]:
    """Where tiles begin along a side: in steps of ``tile - overlap``, the last one shifted inside."""
    yield from range(0, side - tile, tile - overlap)
    yield max(side - tile, 0)


def fade_in(overlap: int, length: int) -> Tensor:
    """Rises from 0 to 1 by a raised cosine over the middle half of the overlap, shape ``(length,)``."""
    margin = overlap // 4
    place = (torch.arange(length) + 0.5 - margin) / max(overlap - 2 * margin, 1)
    return (1 - torch.cos(math.pi * place.clamp(0, 1))) / 2 if overlap else torch.ones(length)
