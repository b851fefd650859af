"""Files become images in [-1, 1], whatever their format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import BROKEN, MODES, flat, ramp, truncated, write
from PIL import ExifTags, Image

from lightning_inv.data.image_files import Refusal, image_size, open_image, read_image, refused
from lightning_inv.data.picture import Picture


@pytest.mark.faults
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_png_is_read_to_the_same_range(tmp_path: Path, mode: str, channels: int) -> None:
    x = read_image(write(tmp_path / "a.png", flat(mode)), channels)
    torch.testing.assert_close(x, torch.full((channels, 4, 6), -0.6), atol=1e-6, rtol=0)


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "bmp", "tif", "webp", "ppm"])
def test_every_kind_of_file_is_read(tmp_path: Path, suffix: str) -> None:
    x = read_image(write(tmp_path / f"a.{suffix}", flat("RGB")), 3)
    torch.testing.assert_close(x, torch.full((3, 4, 6), -0.6), atol=0.01, rtol=0)


@pytest.mark.faults
def test_a_16_bit_image_keeps_every_level(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 257 * 128, 65535]], dtype=np.uint16)
    x = read_image(write(tmp_path / "a.png", Image.fromarray(values)), 1)
    np.testing.assert_array_equal(((x[0].double() + 1) * 32767.5).round(), values)


@pytest.mark.parametrize("picture", ["F", "I"])
def test_pixels_of_no_known_range_are_refused(tmp_path: Path, picture: str) -> None:
    path = write(tmp_path / "a.tif", Image.new(picture, (4, 4), 70000))
    with pytest.raises(ValueError, match=r"a\.tif cannot be read as an image"):
        read_image(path, 1)


@pytest.mark.faults
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright(tmp_path: Path, orientation: int, kind: type, name: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    levels = np.asarray(ramp(3, 5)).astype(kind) * kind(1 if kind is np.uint8 else 257)
    path = write(tmp_path / name, Image.fromarray(levels), exif=exif)
    stored = np.arange(15).reshape(3, 5)
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: np.rot90(stored, -1),
        7: stored.T[::-1, ::-1],
        8: np.rot90(stored, 1),
    }[orientation]
    x = read_image(path, 1)
    np.testing.assert_allclose(x[0].numpy(), upright / 127.5 - 1, atol=1e-6)
    assert image_size(path) == tuple(x.shape[1:])


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("least", "shorter"), [(None, 301), (301, 301), (151, 301), (150, 151), (76, 151), (75, 76), (20, 38)]
)
def test_a_jpeg_is_decoded_no_larger_than_needed(
    tmp_path: Path, least: int | None, shorter: int, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    levels = np.add.outer(np.arange(301) // 2, np.arange(402) // 4).astype(np.uint8)
    path = write(tmp_path / "a.jpg", Image.fromarray(levels), exif=exif)
    small, whole = open_image(path, 1, least=least), open_image(path, 1)
    assert min(small.size) == shorter
    assert (small.size[0] > small.size[1]) == (orientation == 1)
    difference = small.pixels() - whole.resize(small.size).pixels()
    assert difference.abs().max() < 0.05


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "bmp"])
def test_other_files_than_jpegs_are_decoded_at_their_size(tmp_path: Path, suffix: str) -> None:
    assert open_image(write(tmp_path / f"a.{suffix}", flat("RGB", (80, 60))), 3, least=8).size == (80, 60)


def test_the_middle_of_a_wide_image_is_kept(tmp_path: Path) -> None:
    columns = np.zeros((4, 12), dtype=np.uint8)
    columns[:, 4:8] = 255
    x = read_image(write(tmp_path / "a.png", Image.fromarray(columns)), 1, (4, 4))
    torch.testing.assert_close(x, torch.ones(1, 4, 4))


@pytest.mark.parametrize("size", [(8, 8), (4, 12), (16, 6)])
@pytest.mark.parametrize("stored", [(10, 10), (5, 20), (30, 7)])
def test_images_are_cut_to_the_size_asked_for(tmp_path: Path, size: tuple, stored: tuple) -> None:
    x = read_image(write(tmp_path / "a.png", flat("RGB", stored)), 3, size)
    torch.testing.assert_close(x, torch.full((3, *size), -0.6), atol=1e-6, rtol=0)


def test_colours_become_luma_in_grey(tmp_path: Path) -> None:
    x = read_image(write(tmp_path / "a.png", Image.new("RGB", (2, 2), (0, 255, 0))), 1)
    torch.testing.assert_close(x, torch.full((1, 2, 2), 2 * 0.587 - 1), atol=0.01, rtol=0)


@pytest.mark.faults
@pytest.mark.parametrize("suffix", ["png", "tif", "npy"])
@pytest.mark.parametrize("damage", BROKEN)
def test_an_image_that_cannot_be_decoded_is_named(
    tmp_path: Path, damage: Callable[[Path], Path], suffix: str
) -> None:
    if suffix == "npy" and damage is truncated:
        damage = short_array
    with pytest.raises(ValueError, match=rf"broken\.{suffix} cannot be read as an image"):
        read_image(damage(tmp_path / f"broken.{suffix}"), 1)


REFUSED = {
    "beyond the range": lambda path: np.save(path.with_suffix(".npy"), np.array([[0, 1.5]])),
    "not a number": lambda path: np.save(path.with_suffix(".npy"), np.array([[0, np.nan]])),
    "of no known range": lambda path: np.save(path.with_suffix(".npy"), np.array([[0, 1]])),
    "of two channels": lambda path: np.save(path.with_suffix(".npy"), np.zeros((9, 9, 2))),
    "of no such picture": lambda path: write(path.with_suffix(".tif"), Image.new("F", (4, 4), 2.0)),
    **{damage.__name__: damage for damage in BROKEN},
}


@pytest.mark.faults
@pytest.mark.parametrize("value_range", [None, (-10, 300)])
@pytest.mark.parametrize("what", [*REFUSED, *MODES])
def test_verification_refuses_what_cannot_be_read_and_makes_no_image(
    tmp_path: Path, what: str, value_range: tuple | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    REFUSED[what](tmp_path / "a.png") if what in REFUSED else write(tmp_path / "a.png", flat(what))
    path, expected = next(tmp_path.iterdir()), {}
    try:
        read_image(path, 3, None, value_range)
    except ValueError as error:
        expected = {path: Refusal(str(error), getattr(error, "setting", None))}
    monkeypatch.setattr(Picture, "pixels", None)
    monkeypatch.setattr(Picture, "of", None)
    assert refused([path], 3, value_range) == expected
    assert expected or what in MODES or value_range


def short_array(path: Path) -> Path:
    np.save(path, np.zeros((16, 16)))
    path.write_bytes(path.read_bytes()[:-60])
    return path
