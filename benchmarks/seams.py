"""Restores a noisy photograph in one piece and in tiles, and writes its part of docs/results.md.

    python benchmarks/seams.py

Both meet the same noise, so that all they differ in is what the network sees at a time. Another sample of the
same photograph says how large a difference is.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from memory import LiveBytes
from pages import environment, table, write_part
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.data import Photographs
from lightning_inv.denoisers import Denoiser, SizedDenoiser, TiledDenoiser
from lightning_inv.denoisers.tiled import tile_starts
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Identity, Images
from lightning_inv.priors import load_prior
from lightning_inv.solvers import DDRM, Problem

SIGMA = 0.5


class Restored(NamedTuple):
    """A photograph restored, and what it took."""

    x: Tensor
    """Shape ``(C, H, W)``."""
    memory: float
    """The most that tensors took besides the prior's own, in MiB."""


def restored(prior: Denoiser, image: Tensor, steps: int, sample: int = 0) -> Restored:
    """What DDRM makes of a noisy image, shape ``(C, H, W)``."""
    A = Measurement(Identity(), SIGMA).prepare(Images.unnamed(image.shape))
    y = A.observe(image[None], NoiseStream.of(0, [0], "measurement"))
    rng = NoiseStream.of(0, [0], "solver", sample)
    with torch.no_grad(), LiveBytes() as live:
        x = DDRM(steps)(Problem(y, A, SizedDenoiser(prior, image.shape), rng))[0]
    return Restored(x, live.peak / 2**20)


def near_seams(shape: Sequence[int], tile: int, overlap: int) -> Tensor:
    """Whether a pixel is in more than one tile, shape ``(H, W)``."""
    counts = []
    for side in shape[1:]:
        count = torch.zeros(side)
        for start in tile_starts(side, tile, overlap):
            count[start : start + tile] += 1
        counts.append(count)
    return counts[0][:, None] * counts[1] > 1


def rms(x: Tensor) -> float:
    """The root mean square."""
    return float(x.double().square().mean().sqrt())


def part(options: argparse.Namespace, images: Sequence[dict]) -> str:
    """The part of the page: a row a photograph."""
    prior = load_prior(options.prior)
    tiled, rows = TiledDenoiser(prior, options.tile, options.overlap), {}
    for image in images:
        whole, pieces, other = (
            restored(denoiser, image["image"], options.steps, sample)
            for denoiser, sample in ((prior, 0), (tiled, 0), (prior, 1))
        )
        apart, seeds = pieces.x - whole.x, other.x - whole.x
        near = near_seams(whole.x.shape, options.tile, options.overlap)
        ratio = [rms(x[:, near]) / max(rms(x[:, ~near]), 1e-12) for x in (apart, seeds)]
        rows[image["name"]] = [
            f"{rms(apart):.5f}",
            f"{rms(seeds):.5f}",
            f"{ratio[0]:.2f}",
            f"{ratio[1]:.2f}",
            f"{whole.memory:.0f}",
            f"{pieces.memory:.0f}",
        ]
    heads = ["photograph", "whole and tiles", "two seeds", "at seams / elsewhere", "of two seeds"]
    figures = table([*heads, "MiB whole", "MiB in tiles"], rows)
    size = "{1} x {0}".format(*options.size)
    return (
        f"# Photographs in tiles\n\nDenoising of photographs of {size} pixels, sigma {SIGMA}, by DDRM in "
        f"{options.steps} steps, with the prior `{Path(options.prior).stem}`: in one piece, and in tiles of "
        f"{options.tile} pixels that overlap by {options.overlap}, with the same noise. Differences are root "
        "mean squares for images in [-1, 1]; those of two seeds are between two samples in one piece. "
        "Seams are where tiles overlap. Memory is the most that tensors took at a time, without the weights; "
        f"made by `python benchmarks/seams.py`, {environment()}.\n\n{figures}"
    )


def main(args: Sequence[str] | None = None) -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prior", default="photographs", help="a prior of any size: a file, or a name")
    parser.add_argument("--path", default=None, help="a photograph or a folder; those that ship if not given")
    parser.add_argument("--size", type=int, nargs=2, default=[384, 512], help="height and width")
    parser.add_argument("--tile", type=int, default=128)
    parser.add_argument("--overlap", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--limit", type=int, default=1, help="the first so many photographs")
    parser.add_argument("--page", type=Path, default=Path(__file__).parents[1] / "docs" / "results.md")
    options = parser.parse_args(args)
    data = Photographs(options.path, tuple(options.size), limit=options.limit)
    text = part(options, list(data.selected()))
    write_part(options.page, "seams", text)
    print(text)


if __name__ == "__main__":
    main()
