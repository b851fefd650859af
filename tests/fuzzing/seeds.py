"""Valid inputs, small ones of every kind, that are changed."""

import functools
import io
import os
import pickle
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
import torch
import yaml
from helpers import tiny_prior
from PIL import Image, PngImagePlugin

from fuzzing.codecs import CODECS
from lightning_inv.callbacks.spread import Tally
from lightning_inv.denoisers import EpsilonDenoiser, VelocityDenoiser
from lightning_inv.moments import Moments
from lightning_inv.networks import ConvUNet, UNet
from lightning_inv.priors import save_prior
from lightning_inv.schedules import CosineSchedule

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
SETTINGS = {"version": "1", "samples": 2, "solvers": {"ddrm": {"steps": 3}, "mine": {}}, "files": None}
"""Those of the folder of results."""
MARK = "mark_of_a_command"
"""What a command in an input makes, if it is run."""
COMMAND = f"touch {MARK}"

Seeds = dict[str, bytes]


def _written(write: Any, **settings: Any) -> bytes:
    write(found := io.BytesIO(), **settings)
    return found.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274], exif[270] = orientation, "a picture"
    return exif


def image_seeds() -> Seeds:
    """Images of all formats."""
    return dict([*_by_pillow(), *_by_tifffile(), *_arrays()])


def _by_pillow() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(0)
    plain = Image.fromarray(rng.integers(0, 256, (7, 9, 3), np.uint8))
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield f"{mode}.png", _written(plain.convert(mode).save, format="PNG")
    told = PngImagePlugin.PngInfo()
    told.add_text("title", "a picture", zip=True)
    told.add_itxt("author", "somebody")
    yield "told.png", _written(plain.save, format="PNG", pnginfo=told, exif=_exif(6), dpi=(72, 72))
    yield "16.png", _written(Image.fromarray(rng.integers(0, 65536, (7, 9), np.uint16)).save, format="PNG")
    for kind, channels in ((2, 3), (4, 2), (6, 4)):
        yield f"16_{kind}.png", _deep_png(rng.integers(0, 65536, (4, 5, channels), np.uint16), kind)
    yield "interlaced.png", _deep_png(rng.integers(0, 65536, (1, 1, 3), np.uint16), 2, interlaced=1)
    for mode in ("L", "RGB", "CMYK"):
        yield f"{mode}.jpg", _written(plain.convert(mode).save, format="JPEG", exif=_exif(5))
    yield "progressive.jpg", _written(plain.save, format="JPEG", progressive=True)
    for mode in ("1", "L", "P", "RGB"):
        yield f"{mode}.bmp", _written(plain.convert(mode).save, format="BMP")
    for lossless in (True, False):
        yield f"{lossless}.webp", _written(plain.save, format="WEBP", lossless=lossless, exif=_exif(3))
    yield "RGBA.webp", _written(plain.convert("RGBA").save, format="WEBP")
    yield "RGB.ppm", _written(plain.save, format="PPM")
    yield "L.pgm", _written(plain.convert("L").save, format="PPM")
    yield "16.pgm", b"P5 3 2 1023\n" + bytes(range(12))
    yield "text.pgm", b"P2 # told\n3 2 255\n0 1 2 3 4 5\n"
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"):
        yield f"{compression}.tif", _written(plain.save, format="TIFF", compression=compression)


def _deep_png(values: np.ndarray, kind: int, interlaced: int = 0) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = [values.shape[1], values.shape[0], 16, kind, 0, 0, interlaced]
    return CODECS[".png"].contents([[b"IHDR", header], [b"IDAT", zlib.compress(rows)], [b"IEND", b""]])


def _by_tifffile() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, (3, 32, 32), np.uint16)

    def tiff(values: np.ndarray, **settings: Any) -> bytes:
        return _written(lambda file: tifffile.imwrite(file, values, **settings))

    yield "grey.tif", tiff(deep[0, :5, :6])
    yield "colour.tif", tiff(np.moveaxis(deep, 0, -1)[:5, :6], photometric="rgb")
    yield "planar.tif", tiff(deep[:, :5, :6], photometric="rgb", planarconfig="separate")
    yield "tiled.tif", tiff(deep[0], tile=(16, 16))
    yield "float.tif", tiff(rng.random((5, 6), np.float32))
    yield "pages.tif", tiff(deep[:, :5, :6], photometric="minisblack")
    yield "white.tif", tiff(deep[0, :5, :6], photometric="miniswhite")
    yield (
        "alpha.tif",
        tiff(rng.integers(0, 65536, (5, 6, 4), np.uint16), photometric="rgb", extrasamples=["unassalpha"]),
    )
    yield "deflated.tif", tiff(deep[0, :5, :6], compression="zlib", predictor=True)
    yield "turned.tif", tiff(deep[0, :5, :6], extratags=[(274, 3, 1, 6, True)])
    yield "described.tif", tiff(deep[:, :5, :6], imagej=True)
    yield "big.tif", tiff(deep[0, :5, :6], byteorder=">")


def _arrays() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(0)
    for kind in ("<u2", ">u2", "<f4", "|u1", "<f8", "|b1"):
        values = (rng.random((4, 5, 3)) * (255 if kind.strip("<>|")[0] == "u" else 1)).astype(kind)
        yield f"{kind.strip('<>|')}{kind[0] == '>'}.npy", _written(lambda file, v=values: np.save(file, v))
    yield "columns.npy", _written(lambda file: np.save(file, np.asfortranarray(rng.random((4, 5)))))


def prior_seeds() -> Seeds:
    """Priors of every network, with schedule or without."""
    networks = {
        "tiny": tiny_prior(),
        "cosine": tiny_prior((3, 8, 8), CosineSchedule(50)),
        "conv_unet": VelocityDenoiser(ConvUNet(1, (4, 4), (1, 1)), (1, None, None)),
        "unet": EpsilonDenoiser(
            UNet(8, model_channels=4, channel_mult=(1,), num_res_blocks=1, norm_groups=4), (1, 8, 8)
        ),
    }
    with TemporaryDirectory() as folder:
        for name, denoiser in networks.items():
            told = {"steps": 3, "data": {"class_path": "Digits", "init_args": {"limit": 2}}}
            save_prior(Path(folder) / name, denoiser, told, half=name == "tiny")
        return {f"{name}.safetensors": (Path(folder) / name).read_bytes() for name in networks}


class _Command:
    """Runs a command when it is unpickled."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def __reduce__(self) -> Any:
        return self.made


def checkpoint_seeds() -> Seeds:
    """Checkpoints, valid ones and some that run a command where they are unpickled."""
    weights, best = torch.ones(2, 3), "checkpoints/best.ckpt"
    saved = {"best_k_models": {best: torch.tensor(1.0)}, "best_model_path": best, "dirpath": "checkpoints"}
    state = {
        **{"pytorch-lightning_version": "2.5.0", "epoch": 1, "global_step": 4, "loops": {"a": [1, 2.5]}},
        **{"state_dict": {"w": weights}, "callbacks": {"Checkpoints": saved}},
        "optimizer_states": [{"state": {0: {"exp_avg": weights}}, "param_groups": [{"lr": 0.1}]}],
        "lr_schedulers": [{"last_epoch": 4}],
    }
    made = {"call": (os.system, (COMMAND,)), "popen": (subprocess.Popen, (COMMAND.split(),))}
    bad = {name: {**state, "callbacks": _Command(reduced)} for name, reduced in made.items()}
    found = {"plain.ckpt": state, "numpy.ckpt": {**state, "rng": np.arange(3)}, **bad}
    seeds = {
        f"{name.removesuffix('.ckpt')}.ckpt": _written(lambda f, s=s: torch.save(s, f))
        for name, s in found.items()
    }
    return {
        **seeds,
        "pickle.ckpt": pickle.dumps(_Command((eval, (f"__import__('os').system('{COMMAND}')",)))),
    }


def _measures(k: int) -> dict[str, Any]:
    keys = ("psnr", "psnr_of_mean", "ssim", "ssim_of_mean", "consistency", "spread", "skill", "crps")
    costs = dict.fromkeys(("evaluations", "forward_calls", "backward_calls"), 3)
    return {**{key: 0.5 + k for key in keys}, **costs, "seconds": 0.1, "peak_memory": None}


def tally(samples: list[int]) -> Tally:
    """Samples of the image 3."""
    x = torch.linspace(-1, 1, len(samples) * 4).view(len(samples), 1, 2, 2)
    sums = {"psnr": 30.0, "evaluations": 6.0, "seconds": 0.2, "peak_memory": None}
    return Tally(3, samples, {"ddrm": Moments.of(x), "mine": Moments.of(x + 1)}, {"ddrm": sums, "mine": sums})


@functools.cache
def result_seeds() -> Seeds:
    """The files of a folder of results: what decides them, records, and a tally of samples."""
    records = [
        {"index": k, "name": f"image{k}", "solvers": {"ddrm": _measures(k), "mine": _measures(2 * k)}}
        for k in range(3)
    ]
    with TemporaryDirectory() as folder:
        tally([0]).write(Path(folder) / "tally", Path(folder))
        sums = (Path(folder) / "tally").read_bytes()
    lines = CODECS[".jsonl"].contents(records)
    return {
        "manifest.json": CODECS[".json"].contents(SETTINGS),
        "a.jsonl": lines,
        "sums.safetensors": sums,
    }


def config_seeds() -> Seeds:
    """The configurations that ship with the package, and some with commands in them."""
    shipped = {
        "_".join(path.relative_to(CONFIGS).parts): path.read_bytes().replace(b"../", b"")
        for path in sorted(CONFIGS.rglob("*.yaml"))
    }
    hostile = {
        "popen.yaml": {
            "model": {"prior": {"class_path": "subprocess.Popen", "init_args": {"args": COMMAND}}}
        },
        "system.yaml": {"data": {"class_path": "os.system", "init_args": {"command": COMMAND}}},
        "logger.yaml": {
            "trainer": {"logger": {"class_path": "os.system", "init_args": {"command": COMMAND}}}
        },
    }
    tag = f"model:\n  prior: !!python/object/apply:os.system ['{COMMAND}']\n"
    return {
        **shipped,
        **{name: yaml.safe_dump(tree).encode() for name, tree in hostile.items()},
        "tag.yaml": tag.encode(),
    }
