"""Trains variants of configs/priors/photos.yaml, one choice changed in each, for docs/results.md.

    python benchmarks/ablation.py --root FOLDER_OF_PICTURES --steps 1500

All have the same seeds and steps. The same command goes on where it was interrupted: a variant that was
measured is left alone, one that was begun goes on from its last checkpoint. Options not listed here, such as
--trainer.accelerator, are handed to train.py.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from denoising import level, noisy, one_call
from held_out import photographs
from pages import cell, note_environment, noted_environments, table, write_part
from torch import Tensor

from lightning_inv.callbacks.manifest import write_json
from lightning_inv.cli import CONFIGS, train
from lightning_inv.configuration import read_config
from lightning_inv.data import ImageCrops
from lightning_inv.denoisers import Denoiser
from lightning_inv.metrics import psnr
from lightning_inv.noise import NoiseStream
from lightning_inv.priors import load_prior
from lightning_inv.schedules import CosineSchedule

BASE = "base"
DENOISER, MIN_SNR = "model.denoiser.class_path", {"model.weighting": {"gamma": 5.0}}
VARIANTS: dict[str, dict[str, Any]] = {
    BASE: {},
    "eps instead of v": {DENOISER: "EpsilonDenoiser"},
    "x instead of v, min-SNR": {DENOISER: "ImageDenoiser", **MIN_SNR},
    "x instead of v": {DENOISER: "ImageDenoiser"},
    "min-SNR": MIN_SNR,
    "linear schedule": {"model.denoiser.init_args.schedule": {"class_path": "LinearSchedule"}},
    "crops of 64 alone": {"data.init_args.sides": [64]},
    "not mirrored": {"data.init_args.flip": False},
    "one running mean, 0.999": {"model.ema_half_lives": None, "model.ema_decay": 0.999},
}
"""What each changes in the configuration of the base."""
COLUMNS = {
    "loss": ("eps loss", ".4f", "+.4f"),
    "low": ("eps loss at the 3 least noises", ".4f", "+.4f"),
    "high": ("x loss at the 3 most noises", ".4f", "+.4f"),
    "psnr": ("PSNR at sigma 25 [dB]", ".2f", "+.2f"),
}
"""What is measured: its heading, and the formats of a number and of a difference."""
SIGMA, LEVELS = 25, 8


def main(args: Sequence[str] | None = None) -> None:
    """Trains and measures what has not been yet, then writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--root", help="folder of the pictures to train on")
    parser.add_argument("--steps", type=int, default=1500, help="the steps of each training")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--size", type=int, default=256, help="height and width of held-out photographs")
    parser.add_argument("--limit", type=int, help="how many held-out photographs, at most")
    parser.add_argument("--folder", type=Path, default=Path("results/ablation"), help="where results go")
    parser.add_argument("--page", type=Path, default=Path("docs/results.md"), help="the page to write")
    parser.add_argument("--page_only", action="store_true", help="train nothing")
    options, more = parser.parse_known_args(args)
    if options.root is None and not options.page_only:
        parser.error("--root is needed unless --page_only is given.")
    variants = list(dict.fromkeys([BASE, *options.variants]))
    for variant in () if options.page_only else variants:
        measure(variant, options, more)
    found = {variant: json.loads(results(options, variant).read_text()) for variant in variants}
    write_part(options.page, "ablation", page(options, found))


def results(options: argparse.Namespace, variant: str) -> Path:
    """The file of what was measured of a variant, in the folder of its training."""
    name = "".join(letter if letter.isalnum() else "_" for letter in variant)
    return options.folder / name / "ablation.json"


def measure(variant: str, options: argparse.Namespace, more: list[str]) -> None:
    """Trains a variant and writes what is measured of it, unless that was done.

    Raises:
        ValueError: It was done with another number of steps.
    """
    path = results(options, variant)
    if path.exists():
        if (steps := json.loads(path.read_text())["steps"]) != options.steps:
            raise ValueError(f"{path} is of {steps} steps, not {options.steps}: give --folder another name.")
        return
    note_environment(options.folder, "cpu")
    path.parent.mkdir(parents=True, exist_ok=True)
    config = path.with_name("variant.yaml")
    config.write_text(yaml.safe_dump(configuration(variant), sort_keys=False))
    words = ["--config", str(config), "--data.root", options.root, "--folder", str(path.parent)]
    words += ["--trainer.max_steps", str(options.steps), "--samples.count", "0"]
    words += ["--baseline.images", "0", "--quality.count", "0", *more]
    if (path.parent / "checkpoints" / "last.ckpt").exists():
        words += ["--ckpt_path", "last"]
    data = train(words).datamodule
    prior = load_prior(path.parent / "prior.safetensors")
    images = torch.stack([item["image"] for item in data.held_out_crops])
    _, x = photographs(options.size, limit=options.limit)
    errors, ratios = eps_errors(prior, images), noises()
    y = noisy(x, level(SIGMA))
    told = {
        "steps": options.steps,
        "crops": about(data),
        "loss": errors.mean(0).tolist(),
        "low": errors[:3].mean(0).tolist(),
        "high": (ratios[-3:, None].square() * errors[-3:]).mean(0).tolist(),
        "psnr": psnr(one_call(prior, y, level(SIGMA)), x).tolist(),
    }
    write_json(path, told)


def configuration(variant: str) -> dict[str, Any]:
    """The settings of a variant: those of configs/priors/photos.yaml but for what it changes."""
    tree = read_config(CONFIGS / "priors" / "photos.yaml")
    for path, value in VARIANTS[variant].items():
        *above, last = path.split(".")
        node = tree
        for key in above:
            node = node[key]
        node[last] = value
    return tree


def about(data: ImageCrops) -> str:
    """The crops of validation in words."""
    return f"{len(data.held_out_crops)} crops of {data.size[0]} x {data.size[1]} pixels"


def noises() -> Tensor:
    """sigma_t / alpha_t of the base at evenly spread times, the least first: shape ``(LEVELS,)``."""
    base = CosineSchedule()
    pairs = [base(torch.tensor(1 + int((k + 0.5) * base.T / LEVELS))) for k in range(LEVELS)]
    return torch.stack([(sigma / alpha).flatten()[0] for alpha, sigma in pairs])


@torch.no_grad()
def eps_errors(prior: Denoiser, x: Tensor) -> Tensor:
    """The squared error of eps of each image, averaged over its pixels, at each noise: shape ``(LEVELS, B)``.

    Noises are those of ``noises``, whatever the schedule of the prior.
    """
    rng, errors = NoiseStream.of(0, range(len(x)), "ablation"), []
    for noise in noises().tolist():
        t, eps = prior.schedule.levels(1, noise)[0], rng.normal(x.shape[1:])
        alpha_t, sigma_t = prior.schedule(t)
        found = torch.cat([prior(part, t).eps for part in (alpha_t * x + sigma_t * eps).split(16)])
        errors.append((found - eps).square().flatten(1).mean(1))
    return torch.stack(errors)


def page(options: argparse.Namespace, found: dict[str, dict[str, Any]]) -> str:
    """The part of the page."""
    base = found[BASE]
    return f"""\
# What each choice in training a prior of photographs is worth

Made by `benchmarks/ablation.py`, not by hand.

- Code: {noted_environments(options.folder)}
- Training: `configs/priors/photos.yaml`, {base["steps"]} steps, one seed; what another seed would change
  is not told. Each row differs from the base in what it is named after, and has the base's learning rate
- eps loss: on {base["crops"]} of what is held out from training, a picture in twenty about, the mean
  over {LEVELS} noises, which are the same for every schedule; x loss: the squared error of x. Their errors
  are over crops, not over pictures
- PSNR: one call of the prior on {len(base["psnr"])} photographs, {options.size} x {options.size} pixels, as
  in the part on denoising
- Crops of 64 alone: a step sees a fifth less pixels than that of the base

Means ± standard errors of the mean over crops or photographs; in brackets the mean difference from the base
on the same images and its standard error.

{table(["variant", *(head for head, _, _ in COLUMNS.values())], rows(found))}
"""


def rows(found: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The cells of each variant."""
    cells = {}
    for variant, told in found.items():
        cells[variant] = [cell(told[key], form) for key, (_, form, _) in COLUMNS.items()]
        if variant != BASE:
            differences = [apart(told[key], found[BASE][key], form) for key, (_, _, form) in COLUMNS.items()]
            pairs = zip(cells[variant], differences, strict=True)
            cells[variant] = [f"{number} ({difference})" for number, difference in pairs]
    return cells


def apart(values: Sequence[float], base: Sequence[float], form: str) -> str:
    """The mean difference and its standard error."""
    return cell([value - other for value, other in zip(values, base, strict=True)], form)


if __name__ == "__main__":
    main()
