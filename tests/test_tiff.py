"""Which image of a TIFF is read, and which of its pages are channels."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from pictures import numbers, save
from PIL import Image

from lightning_inv.data.decoding import image_shape
from lightning_inv.data.image_files import read_image


@pytest.mark.parametrize(
    "settings", [{"planarconfig": "separate"}, {"planarconfig": None}, {"imagej": True}, {"ome": True}]
)
def test_channels_of_a_tiff_may_lie_one_after_another(tmp_path: Path, settings: dict) -> None:
    values = numbers(5).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", **settings)
    torch.testing.assert_close(read_image(tmp_path / "a.tif", 5), torch.tensor(values * 2 - 1))


PAGED = {
    "Pillow's": None,
    "without a word": {"metadata": None},
    "depths": {"metadata": {"axes": "ZYX"}},
    "times": {"metadata": {"axes": "TYX"}},
    "slices of ImageJ": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "depths of OME": {"ome": True, "metadata": {"axes": "ZYX"}},
}


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("name", PAGED)
def test_of_the_pages_of_a_tiff_the_first_is_read(tmp_path: Path, name: str, kind: type, count: int) -> None:
    most = 1 if kind is np.float32 else np.iinfo(kind).max
    pages = (numbers(count) * most).astype(kind)
    path = tmp_path / "a.tif"
    if PAGED[name] is None:
        first, *others = map(Image.fromarray, pages)
        first.save(path, save_all=True, append_images=others)
    else:
        tifffile.imwrite(path, pages, photometric="minisblack", **PAGED[name])
    assert image_shape(path) == (1, 7, 11)
    for channels in (1, 3):
        expected = torch.tensor(pages[0] / most * 2 - 1).float().expand(channels, 7, 11)
        torch.testing.assert_close(read_image(path, channels), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("settings", [{}, {"metadata": None}, {"compression": "zlib"}])
def test_of_the_pages_of_a_tiff_in_colour_the_first_is_read(
    tmp_path: Path, settings: dict, kind: type
) -> None:
    pages = np.random.default_rng(0).integers(0, 256, (2, 7, 11, 3), kind)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb", **settings)
    save(tmp_path / "first.tif", np.moveaxis(pages[0] / np.iinfo(kind).max, -1, 0), kind.__name__)
    assert image_shape(tmp_path / "a.tif") == (3, 7, 11)
    torch.testing.assert_close(read_image(tmp_path / "a.tif", 3), read_image(tmp_path / "first.tif", 3))


def test_the_channels_of_the_first_of_several_depths_are_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, 5, 7, 11)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", metadata={"axes": "ZCYX"})
    torch.testing.assert_close(read_image(tmp_path / "a.tif", 5), torch.tensor(values[0] * 2 - 1))


def test_a_first_page_is_left_to_pillow_where_it_suffices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows compressions for which tifffile needs another package, as LZW and JPEG."""
    monkeypatch.setattr("lightning_inv.data.decoding.read_tiff", None)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8))
    preview = picture.resize((6, 4))
    picture.save(tmp_path / "a.tif", save_all=True, append_images=[preview], compression="tiff_lzw")
    picture.save(tmp_path / "a.png")
    assert torch.equal(read_image(tmp_path / "a.tif", 3), read_image(tmp_path / "a.png", 3))


def test_a_tiff_in_which_white_is_0_is_inverted(tmp_path: Path) -> None:
    stored = np.array([[0, 100, 65535]], dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    np.testing.assert_allclose(read_image(tmp_path / "a.tif", 1)[0], 1 - stored / 32767.5, atol=1e-6)


def test_an_opacity_is_not_inverted_where_white_is_0(tmp_path: Path) -> None:
    stored = np.array([[[100, 65535], [100, 0]]], dtype=np.uint16)
    settings = {"photometric": "miniswhite", "planarconfig": "contig", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "a.tif", stored, **settings)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif", 1)[0, 0], [1 - 200 / 65535, 1], atol=1e-6)
