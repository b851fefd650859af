"""A picture is the same whatever its format, numbers and channels, to the precision of the file."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from pictures import numbers, png_of_16_bits, save, write
from PIL import ExifTags, Image
from torch import Tensor

from lightning_inv.data import ImageCrops, ImageFolder
from lightning_inv.data.crops import Pictures
from lightning_inv.data.decoding import image_shape
from lightning_inv.data.image_files import image_size, open_image, read_image

LEVELS = {"uint8": 255, "uint16": 65535, "float16": 2**10, "float32": 2**22, "float64": 2**22}
FORMATS = [
    *(
        (suffix, kind, channels)
        for suffix in ("npy", "tif")
        for kind in LEVELS
        for channels in (1, 2, 3, 4, 5)
    ),
    *(("png", kind, channels) for kind in ("uint8", "uint16") for channels in (1, 3)),
]


@pytest.mark.parametrize(("suffix", "kind", "channels"), FORMATS)
def test_a_picture_is_the_same_in_each_format(tmp_path: Path, suffix: str, kind: str, channels: int) -> None:
    values = numbers(channels)
    x = read_image(save(tmp_path / f"a.{suffix}", values, kind), channels)
    torch.testing.assert_close(x, torch.tensor(values * 2 - 1).float(), atol=1.01 / LEVELS[kind], rtol=0)


@pytest.mark.parametrize(("suffix", "kind", "channels"), FORMATS)
def test_the_shape_is_known_from_the_header(tmp_path: Path, suffix: str, kind: str, channels: int) -> None:
    path = save(tmp_path / f"a.{suffix}", numbers(channels), kind)
    assert image_shape(path) == (channels, 7, 11)
    assert image_size(path) == (7, 11)


@pytest.mark.faults
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "ppm", "tif"])
def test_the_shape_is_known_where_pixels_are_lacking(tmp_path: Path, suffix: str) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    path = write(tmp_path / f"a.{suffix}", Image.fromarray(levels))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert image_shape(path) == (3, 60, 80)


def with_exif_last(stored: bytes) -> bytes:
    """A PNG in which Exif stands behind the pixels."""
    at = stored.index(b"eXIf") - 4
    end = at + 12 + int.from_bytes(stored[at : at + 4])
    return stored[:at] + stored[end:-12] + stored[at:end] + stored[-12:]


@pytest.mark.faults
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_exif_behind_the_pixels_of_a_png_is_found(tmp_path: Path, kind: type) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    levels = np.arange(15, dtype=kind).reshape(3, 5)
    path = write(tmp_path / "a.png", Image.fromarray(levels), exif=exif)
    path.write_bytes(with_exif_last(path.read_bytes()))
    assert image_shape(path) == (1, 5, 3)
    assert read_image(path, 1).shape == (1, 5, 3)


@pytest.mark.parametrize("layout", ["(H, W, C)", "(C, H, W)"])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_the_channels_of_an_array_are_at_either_end(tmp_path: Path, channels: int, layout: str) -> None:
    values = numbers(channels)
    np.save(tmp_path / "a.npy", np.moveaxis(values, 0, -1) if layout == "(H, W, C)" else values)
    expected = torch.tensor(values * 2 - 1).float()
    torch.testing.assert_close(read_image(tmp_path / "a.npy", channels), expected)


TRANSPARENT = {
    "RGBA": Image.new("RGBA", (4, 3), (200, 50, 0, 0)),
    "LA": Image.new("LA", (4, 3), (50, 0)),
    "palette": Image.new("RGBA", (4, 3), (200, 50, 0, 0)).quantize(),
}


@pytest.mark.faults
@pytest.mark.parametrize("value_range", [None, (0, 255), (0, 300)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", TRANSPARENT)
def test_what_is_transparent_is_white(
    tmp_path: Path, kind: str, channels: int, value_range: tuple | None
) -> None:
    x = read_image(write(tmp_path / "a.png", TRANSPARENT[kind]), channels, value_range=value_range)
    assert torch.equal(x, torch.ones(channels, 3, 4))


def test_a_colour_that_stands_for_transparent_is_white(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[7, 51]], dtype=np.uint8))
    assert read_image(write(tmp_path / "a.png", picture, transparency=7), 1)[0, 0, 0] == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"suffix": "png"},
        {"suffix": "tif", "extrasamples": ["unassalpha"]},
        {"suffix": "tif", "extrasamples": ["assocalpha"]},
    ],
    ids=lambda settings: str(settings.get("extrasamples", ["png"])[0]),
)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_shines_through_is_seen_before_white(
    tmp_path: Path, kind: type, colours: int, channels: int, settings: dict
) -> None:
    top = np.iinfo(kind).max
    *x, a = numbers(colours + 1, (7, 11))
    light = np.array(x) * a if "assocalpha" in settings.get("extrasamples", ()) else np.array(x)
    stored = np.moveaxis(np.array([*light, a]) * top, 0, -1).round().astype(kind)
    path = tmp_path / f"a.{settings['suffix']}"
    if path.suffix == ".tif":
        photometric = "rgb" if colours == 3 else "minisblack"
        tifffile.imwrite(
            path,
            stored,
            photometric=photometric,
            planarconfig="contig",
            extrasamples=settings["extrasamples"],
        )
    elif kind is np.uint8:
        write(path, Image.fromarray(stored))
    else:
        path.write_bytes(png_of_16_bits(stored))
    expected = save(tmp_path / "expected.npy", np.array(x) * a + 1 - a)
    tolerance = 0.03 if kind is np.uint8 else 1e-4
    torch.testing.assert_close(
        read_image(path, channels), read_image(expected, channels), atol=tolerance, rtol=0
    )


def test_the_opacity_is_a_channel_where_four_are_asked_for(tmp_path: Path) -> None:
    stored = (np.moveaxis(numbers(4), 0, -1) * 255).astype(np.uint8)
    path = write(tmp_path / "a.png", Image.fromarray(stored))
    np.testing.assert_allclose(read_image(path, 4), np.moveaxis(stored / 127.5 - 1, -1, 0), atol=1e-6)


@pytest.mark.parametrize(("stored", "wanted"), [(1, 3), (3, 1)])
def test_grey_and_rgb_become_each_other_as_in_8_bits(tmp_path: Path, stored: int, wanted: int) -> None:
    values = numbers(stored)
    fine, coarse = save(tmp_path / "a.npy", values), save(tmp_path / "a.png", values, "uint8")
    torch.testing.assert_close(read_image(fine, wanted), read_image(coarse, wanted), atol=2 / 255, rtol=0)


@pytest.mark.parametrize("size", [(20, 12), (5, 9), (40, 60)])
def test_numbers_are_scaled_as_8_bits_are(tmp_path: Path, size: tuple[int, int]) -> None:
    values = 0.3 + 0.4 * numbers(3, (20, 30))
    fine, coarse = save(tmp_path / "a.npy", values), save(tmp_path / "a.png", values, "uint8")
    torch.testing.assert_close(read_image(fine, 3, size), read_image(coarse, 3, size), atol=4 / 255, rtol=0)


def test_numbers_that_are_scaled_stay_in_their_range(tmp_path: Path) -> None:
    x = read_image(save(tmp_path / "a.npy", numbers(1).round()), 1, (30, 50))
    assert (x.min(), x.max()) == (-1, 1)


def test_a_range_says_which_numbers_are_black_and_white(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[-10, 0, 30]]))
    x = read_image(tmp_path / "a.npy", 1, value_range=(-10, 30))
    torch.testing.assert_close(x, torch.tensor([[[-1, -0.5, 1]]]))


def test_a_range_is_that_of_pictures_of_8_bits_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", Image.fromarray(np.array([[0, 40]], dtype=np.uint8)))
    assert read_image(path, 1, value_range=(0, 40)).tolist() == [[[-1, 1]]]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("values", "channels", "value_range", "message"),
    [
        (np.array([[0.0, 1.5]]), 1, None, r"reach from 0 to 1\.5, beyond \[0, 1\]; data\.value_range"),
        (np.array([[0.0, np.nan]]), 1, None, r"reach from nan to nan"),
        (np.array([[-3.0, 5.0]]), 1, (-1, 5), r"reach from -3 to 5, beyond \[-1, 5\]; data\.value_range"),
        (np.array([[0, 200]]), 1, None, r"type int64 have no known range; data\.value_range gives one"),
        (np.array([[0, 1j]]), 1, None, r"holds complex128, not real numbers"),
        (np.zeros((4, 6, 5)), 3, None, r"no end of its shape \(4, 6, 5\) is 3, .* \(data\.channels\)"),
        (np.zeros((4, 6)), 5, None, r"it has 1 channel, but 5 were asked for \(data\.channels\)"),
        (np.zeros((5, 6, 5)), 5, None, r"its shape \(5, 6, 5\) has 5 at both ends"),
        (np.zeros((2, 3, 4, 5)), 3, None, r"it has shape \(2, 3, 4, 5\), not \(H, W\), "),
        (np.array([[{}]]), 1, None, "allow_pickle=False"),
    ],
)
def test_an_array_that_is_no_such_image_is_refused(
    tmp_path: Path, values: np.ndarray, channels: int, value_range: tuple | None, message: str
) -> None:
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=rf"a\.npy cannot be read as an image: .*{message}"):
        read_image(tmp_path / "a.npy", channels, value_range=value_range)


@pytest.mark.parametrize(("name", "channels"), [("a.png", 5), ("a.tif", 3)])
def test_a_picture_of_other_channels_is_refused(tmp_path: Path, name: str, channels: int) -> None:
    path = save(tmp_path / name, numbers(8 - channels), "uint8")
    with pytest.raises(
        ValueError, match=rf"{name} .* it has {8 - channels} channels, but {channels} were asked"
    ):
        read_image(path, channels)


# Crops


def crop(folder: Path, channels: int) -> Tensor:
    """A crop of 5 x 5 pixels of the only picture in a folder."""
    data = ImageCrops(str(folder), 5, shorter=(5, 7), channels=channels, val_fraction=0)
    return data.train_crops[0]["image"]


def test_crops_of_numbers_keep_their_precision(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", np.full((5, 7, 11), 0.3, dtype=np.float32))
    torch.testing.assert_close(crop(tmp_path, 5), torch.full((5, 5, 5), -0.4), atol=1e-6, rtol=0)


def test_crops_of_numbers_are_those_of_8_bits(tmp_path: Path) -> None:
    values = numbers(3, (7, 7))
    save(tmp_path / "fine" / "a.npy", values)
    save(tmp_path / "coarse" / "a.png", values, "uint8")
    torch.testing.assert_close(crop(tmp_path / "fine", 3), crop(tmp_path / "coarse", 3), atol=3 / 255, rtol=0)


@pytest.mark.parametrize(("name", "kind", "size"), [("a.png", "uint8", 1), ("a.tif", "uint16", 4)])
def test_pictures_of_8_bits_are_held_as_they_are(tmp_path: Path, name: str, kind: str, size: int) -> None:
    path = save(tmp_path / name, numbers(3), kind)
    pictures = Pictures([path], 3, 100)
    assert pictures[0].memory == 3 * 7 * 11 * size
    assert pictures[0] is pictures[0]


def test_a_folder_reads_its_pictures_in_its_range(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((4, 4), 20.0))
    data = ImageFolder(str(tmp_path), 4, 1, value_range=(0, 20))
    assert data.dataset("all")[0]["image"].unique().tolist() == [1]


def test_crops_are_read_in_their_range(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((8, 8), 20.0))
    data = ImageCrops(str(tmp_path), 5, shorter=(5, 7), channels=1, val_fraction=0, value_range=(0, 20))
    assert data.train_crops[0]["image"].unique().tolist() == [1]


def test_an_open_picture_has_the_size_of_its_planes(tmp_path: Path) -> None:
    assert open_image(save(tmp_path / "a.npy", numbers(2)), 2).size == (11, 7)
