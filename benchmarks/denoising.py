"""Measures how well a prior of photographs denoises in one call and writes its part of docs/results.md.

    pip install -e ".[benchmark]"
    python benchmarks/denoising.py --prior photographs

All methods meet the same noise, which is keyed by the image. What is chosen for each noise, the strength of
non-local means and of total variation, is chosen on photographs that are not those of the tables.
"""

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from classical_denoisers import Denoise, best_factor, bm3d, non_local_means, total_variation
from held_out import FILES, photographs
from pages import cell, environment, table, told_prior, write_part
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import center_crop

from lightning_inv.callbacks.pictures import comparison, write_picture
from lightning_inv.denoisers import Denoiser
from lightning_inv.metrics import psnr, ssim
from lightning_inv.noise import NoiseStream
from lightning_inv.priors import load_prior

PRIOR, BM3D = "prior, one call", "BM3D"
NLM, TV = "non-local means", "total variation"
FACTORS = {NLM: (0.4, 0.5, 0.6, 0.7, 0.8, 0.9), TV: (0.5, 0.7, 1.0, 1.4, 2.0)}
"""The strengths of classical methods to choose from, in units of sigma."""


class Measured(NamedTuple):
    """What a method made of all images at one noise."""

    psnr: list[float]
    ssim: list[float]
    seconds: float
    """For one image."""
    first: Tensor
    """The first image, shape ``(3, H, W)``."""


def main(args: Sequence[str] | None = None) -> None:
    """Denoises, then writes the part of the page and the picture beside it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--prior", default="photographs", help="a file, or the name of one that ships")
    parser.add_argument("--limit", type=int, help="how many photographs, at most")
    parser.add_argument("--size", type=int, default=256, help="their height and width in pixels")
    parser.add_argument("--sigmas", type=float, nargs="+", default=[15, 25, 50], help="noise, of 255")
    parser.add_argument("--page", type=Path, default=Path("docs/results.md"), help="the page to write")
    options = parser.parse_args(args)
    prior, (names, x) = load_prior(options.prior), photographs(options.size, limit=options.limit)
    found = {sigma: compare(prior, x, sigma, options.size) for sigma in options.sigmas}
    write_part(options.page, "denoising", page(options, names, found))
    shown = options.sigmas[len(options.sigmas) // 2]
    write_picture(options.page.with_name("denoising.png"), strip(x[0], shown, found[shown]))


def level(sigma: float) -> float:
    """The deviation for images in [-1, 1] of that for images in [0, 255]."""
    return 2 * sigma / 255


def noisy(x: Tensor, sigma: float, seed: int = 0) -> Tensor:
    """Images with noise that depends on the seed and their place alone."""
    return x + sigma * NoiseStream.of(seed, range(len(x)), "denoising").normal(x.shape[1:])


@torch.no_grad()
def one_call(prior: Denoiser, y: Tensor, sigma: float) -> Tensor:
    """The prior's x at the time t whose sigma_t / alpha_t is nearest to sigma, with x_t = alpha_t y.

    Args:
        prior: The prior.
        y: Images with noise, shape ``(B, C, H, W)``.
        sigma: The deviation of the noise.
    """
    t = prior.schedule.levels(1, sigma)[0]
    alpha_t, _ = prior.schedule(t)
    return torch.cat([prior(alpha_t * image[None], t).x for image in y])


def methods(prior: Denoiser, sigma: float, size: int) -> dict[str, Denoise]:
    """The methods by their names on the page."""
    _, x = photographs(size, "tuning")
    y, tuned = noisy(x, sigma, seed=1), {NLM: non_local_means, TV: total_variation}
    best = {name: best_factor(tuned[name], x, y, sigma, FACTORS[name]) for name in tuned}
    return {
        "noisy": lambda y, sigma: y,
        PRIOR: lambda y, sigma: one_call(prior, y, sigma),
        BM3D: bm3d,
        **{name: partial(method, factor=best[name]) for name, method in tuned.items()},
    }


def compare(prior: Denoiser, x: Tensor, sigma: float, size: int) -> dict[str, Measured]:
    """What each method makes of the images ``x`` at a noise of ``sigma`` of 255."""
    y, found = noisy(x, level(sigma)), {}
    for name, method in methods(prior, level(sigma), size).items():
        began = time.perf_counter()
        restored = method(y, level(sigma))
        seconds = (time.perf_counter() - began) / len(x)
        measures = psnr(restored, x).tolist(), ssim(restored, x).tolist()
        found[name] = Measured(*measures, seconds, restored[0])
        print(f"sigma {sigma:g}: {name} {sum(measures[0]) / len(x):.2f} dB, {seconds:.2f} s / image")
    return found


def page(options: argparse.Namespace, names: Sequence[str], found: dict[float, dict[str, Measured]]) -> str:
    """The part of the page."""
    levels = [f"{level(sigma):.4g} for {sigma:g}" for sigma in found]
    gains = {
        f"{sigma:g}": [a - b for a, b in zip(measured[PRIOR].psnr, measured[BM3D].psnr, strict=True)]
        for sigma, measured in found.items()
    }
    bar = ", ".join(f"{cell(gain, '+.2f')} dB at {sigma}" for sigma, gain in gains.items())
    return f"""\
# Denoising of photographs in one call

Made by `benchmarks/denoising.py`, not by hand. The prior minus BM3D: {bar}, means over photographs.

- Code: {environment()}
- Data: {", ".join(names)}, {options.size} x {options.size} pixels in colour, scaled by Lanczos to cover
  that and cut in the middle, out of the wheels of scikit-image and scikit-learn; no prior was trained on them
- Prior: {told_prior(options.prior)}; NFE 1, at the time whose noise is
  nearest, in 32 bits
- Noise: sigma of images in [0, 255] heads each column; of images in [-1, 1] it is {", ".join(levels)}
- BM3D: `bm3d_rgb` of the package bm3d, profile np (Mäkinen, Azzari, Foi, 2020,
  https://doi.org/10.1109/TIP.2020.3014721). Non-local means of scikit-image, total variation of all colours
  together: `benchmarks/classical_denoisers.py`; for each sigma the h of the former is chosen of
  {told(NLM)} and the weight of the latter of {told(TV)} times sigma,
  on {", ".join(FILES["tuning"])}

Means over photographs ± standard errors of the mean; of images clipped to [-1, 1]. PSNR in dB:

{rows(found, "psnr", ".2f")}

SSIM:

{rows(found, "ssim", ".3f")}

Seconds for one photograph at the first sigma: {times(found)}.

![one photograph denoised by each method](denoising.png)
"""


def told(name: str) -> str:
    """The strengths of a method to choose from."""
    return ", ".join(map(str, FACTORS[name]))


def times(found: dict[float, dict[str, Measured]]) -> str:
    """How long each method took at the first noise."""
    return ", ".join(f"{name} {one.seconds:.2f}" for name, one in next(iter(found.values())).items())


def rows(found: dict[float, dict[str, Measured]], measure: str, form: str) -> str:
    """A row a method, a column a noise."""
    cells = {
        name: [cell(getattr(measured[name], measure), form) for measured in found.values()]
        for name in next(iter(found.values()))
    }
    return table(["method", *(f"{sigma:g}" for sigma in found)], cells)


def strip(x: Tensor, sigma: float, measured: dict[str, Measured]) -> Image.Image:
    """The middle of a photograph as each method leaves it, twice enlarged.

    Args:
        x: The photograph, shape ``(C, H, W)``.
        sigma: The noise, of 255.
        measured: What methods made of it, the first of all photographs.
    """
    cells = [(middle(one.first), f"{one.psnr[0]:.1f} dB") for one in measured.values()]
    cells = [*cells, (middle(x), f"noise {sigma:g} of 255")]
    return comparison([*measured, "truth"], [cells], widest=3, tile=(256, 256))


def middle(x: Tensor, side: int = 128) -> Tensor:
    """The middle of an image, at most ``side`` x ``side`` pixels."""
    return center_crop(x, [min(side, length) for length in x.shape[-2:]])


if __name__ == "__main__":
    main()
