"""Image files that are hostile: refused by what they are, from their headers, at once."""

import os
import time
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import hostile
import numpy as np
import pytest
import tifffile
from hostile import WAYS, each_way, frugal
from pictures import flat, numbers, save, write
from PIL import EpsImagePlugin, Image

from lightning_inv.data.image_files import image_size, read_image
from lightning_inv.opening import VARIABLE
from lightning_inv.operators.masks import read_mask

pytestmark = pytest.mark.faults

PACKAGE = Path(__file__).parents[1] / "lightning_inv"


@pytest.fixture(autouse=True)
def threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own number is as it was after each test."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


# Formats


@pytest.fixture
def postscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PostScript under the name of a PNG, and an interpreter that leaves ``mark`` beside it when it runs."""
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # found anew
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path / 'mark'}\n")
    (tmp_path / "bin" / "gs").chmod(0o755)
    (tmp_path / "images").mkdir()
    path = tmp_path / "images" / "a.png"
    Image.new("L", (8, 8)).save(path, "eps")
    return path


def test_pillow_alone_would_run_postscript(postscript: Path) -> None:
    with Image.open(postscript) as image, pytest.raises(Exception):  # noqa: B017, PT011 (the mark counts)
        image.load()
    assert (postscript.parents[1] / "mark").exists()


@each_way
def test_postscript_is_not_run(postscript: Path, way: Callable) -> None:
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image: it is none of PNG"):
        way(postscript)
    assert not (postscript.parents[1] / "mark").exists()


def test_postscript_is_not_run_for_a_mask(postscript: Path) -> None:
    with pytest.raises(ValueError, match=r"the mask .*a\.png cannot be read: it is none of PNG"):
        read_mask(postscript, (1, 8, 8))
    assert not (postscript.parents[1] / "mark").exists()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("kind", ["gif", "ico", "dib", "tga", "sgi", "pcx", "dds"])
def test_a_format_that_is_not_read_is_refused_whatever_its_name(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (8, 8)).save(path, kind)
    for look_at in WAYS.values():
        with pytest.raises(ValueError, match=rf"a\.{suffix} cannot be read as an image: "):
            look_at(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp", "a.tif", "a.ppm"])
def test_a_format_that_is_read_is_read_under_any_name(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, flat("L", (8, 8))).rename(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png", 1).shape == (1, 8, 8)


def test_the_first_of_several_pictures_in_a_jpeg_is_read(tmp_path: Path) -> None:
    grey, black = flat("RGB", (8, 8)), Image.new("RGB", (8, 8))
    grey.save(tmp_path / "a.jpg", "mpo", save_all=True, append_images=[black])
    assert read_image(tmp_path / "a.jpg", 1).mean() == pytest.approx(-0.6, abs=0.01)


def test_files_are_opened_in_one_place() -> None:
    words = ("Image.open(", "np.load(", "imread(")
    assert not [path for path in PACKAGE.rglob("*.py") if any(word in path.read_text() for word in words)]


# Sizes


@pytest.mark.parametrize("name", hostile.BOMBS)
@each_way
def test_a_picture_that_is_too_large_is_refused_from_its_header(
    tmp_path: Path, name: str, way: Callable
) -> None:
    (tmp_path / name).write_bytes(hostile.BOMBS[name](hostile.HUGE))
    began = time.perf_counter()
    with pytest.raises(
        ValueError, match=rf"{name} cannot .* = \d{{9}} pixels, more than the 178956970 .*{VARIABLE}"
    ):
        way(tmp_path / name)
    assert time.perf_counter() - began < 0.5


@each_way
def test_an_array_that_is_too_large_is_refused_from_its_header(tmp_path: Path, way: Callable) -> None:
    path, side = tmp_path / "a.npy", hostile.HUGE
    path.write_bytes(hostile.npy(side))
    if way is not WAYS["contents"]:
        os.truncate(path, path.stat().st_size + side * side)
        with pytest.raises(ValueError, match=r"a\.npy cannot .* = 400000000 pixels, more than the 178956970"):
            way(path)


@pytest.mark.parametrize("name", [*hostile.BOMBS, "a.npy"])
@each_way
def test_the_environment_sets_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, way: Callable
) -> None:
    path = tmp_path / name
    if name == "deep.tif":
        save(path, numbers(1, (20, 20)), "float64")
    elif name == "a.npy":
        np.save(path, np.zeros((20, 20)))
    else:
        write(path, flat("L", (20, 20)))
    monkeypatch.setenv(VARIABLE, "399")
    with pytest.raises(
        ValueError, match=rf"{name} .*20 x 20 = 400 pixels, more than the 399 .*{VARIABLE}=400"
    ):
        way(path)
    monkeypatch.setenv(VARIABLE, "400")
    way(path)


@pytest.mark.parametrize("told", ["", "0", "-4", "many", "1e9"])
def test_a_limit_that_is_no_number_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv(VARIABLE, told)
    with pytest.raises(ValueError, match=f"{VARIABLE} must be a number of pixels, got '{told}'"):
        read_image(write(tmp_path / "a.png"), 1)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp", "a.tif", "a.ppm"])
@pytest.mark.parametrize("pillows", [300, 100])
def test_pillow_is_silent_about_what_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pillows: int
) -> None:
    """Its warning comes between one and two times its number, its error above."""
    path = write(tmp_path / name, flat("L", (20, 20)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for look_at in WAYS.values():
            look_at(path)


def test_more_channels_are_more_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1000")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((10, 20, 20), np.uint8), photometric="minisblack")
    with pytest.raises(
        ValueError, match=r"20 x 20 of 10 channels, as much as 1200 pixels, more than the 1000"
    ):
        read_image(tmp_path / "a.tif", 10)


def test_a_picture_with_more_bytes_than_pixels_can_have_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.webp", flat("L", (8, 8)))
    os.truncate(path, 2**33)  # sparse
    with pytest.raises(
        ValueError, match=r"a\.webp .* it has 8589934592 bytes, more than 178956970 pixels take"
    ):
        read_image(path, 1)


# PNG


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP"])
@each_way
def test_a_text_that_inflates_takes_no_memory(tmp_path: Path, name: bytes, way: Callable) -> None:
    bomb = hostile.chunk(name, b"Title\0\0" + zlib.compress(bytes(2**24)))
    (tmp_path / "a.png").write_bytes(hostile.png(8, *[bomb] * 8))
    with frugal(), suppress(ValueError):
        way(tmp_path / "a.png")


@pytest.mark.parametrize("name", [b"eXIf", b"tEXt", b"prVt"])
def test_a_chunk_that_claims_four_gigabytes_is_refused(tmp_path: Path, name: bytes) -> None:
    stored = hostile.png(8)
    (tmp_path / "a.png").write_bytes(stored[:33] + b"\xff\xff\xff\xf0" + name + stored[33:])
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image"):
        read_image(tmp_path / "a.png", 1)


def test_text_without_an_end_is_refused_from_the_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_inv.data.png.REST", 1000)
    stored = write(tmp_path / "a.png", flat("L", (8, 8))).read_bytes()
    told = hostile.chunk(b"tEXt", b"k\0" + bytes(500))
    (tmp_path / "a.png").write_bytes(stored[:-12] + told * 3 + stored[-12:])
    with pytest.raises(ValueError, match=r"a\.png .* it has more than 1000 bytes of text"):
        image_size(tmp_path / "a.png")
