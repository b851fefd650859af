"""Photographs are read as they are."""

from pathlib import Path

import numpy as np
import pytest
from pictures import BROKEN, ramp, write

from lightning_inv.data import Photographs
from lightning_inv.files import ASSETS


def test_the_photographs_that_ship_are_found() -> None:
    images = Photographs().selected()
    assert list(images.names) == ["astronaut", "chelsea", "coffee", "rocket"]
    assert [images.shapes(i)["image"] for i in range(4)] == [
        (3, 512, 512),
        (3, 300, 448),
        (3, 340, 512),
        (3, 340, 512),
    ]


def test_the_photographs_that_ship_are_small_and_listed() -> None:
    files, told = list((ASSETS / "photographs_test").iterdir()), (ASSETS / "README.md").read_text()
    assert sum(file.stat().st_size for file in files) < 2**20
    assert all(f"| `{file.name}` |" in told for file in files)


def test_one_file_is_read_at_its_own_size(tmp_path: Path) -> None:
    write(tmp_path / "other.png")
    path = write(tmp_path / "mine.png", ramp(9, 14))
    (item,) = Photographs(str(path), channels=1, multiple=1).selected()
    assert item["name"] == "mine"
    np.testing.assert_allclose(item["image"][0].numpy() * 127.5 + 127.5, np.arange(126).reshape(9, 14))


def test_pixels_at_the_border_are_cut_where_the_multiple_does_not_divide_a_side(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.png", ramp(10, 15))
    whole, cut = (Photographs(str(path), channels=1, multiple=k).selected()[0]["image"] for k in (1, 4))
    assert (cut == whole[:, 1:9, 1:13]).all()


@pytest.mark.parametrize(("size", "expected"), [(8, (8, 8)), ((8, 12), (8, 12)), ((9, 13), (8, 12))])
def test_a_size_is_covered_and_cut(tmp_path: Path, size: int | tuple[int, int], expected: tuple) -> None:
    path = write(tmp_path / "mine.png", ramp(10, 15))
    (item,) = Photographs(str(path), size).selected()
    assert tuple(item["image"].shape) == (3, *expected)


@pytest.mark.faults
def test_what_is_too_small_is_named(tmp_path: Path) -> None:
    images = Photographs(str(write(tmp_path / "mine.png", ramp(3, 9)))).selected()
    with pytest.raises(ValueError, match=r"mine\.png has 3 x 9 pixels, fewer than data\.multiple=4"):
        images.shapes(0)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no photograph, .* at .*nowhere\.jpg"):
        Photographs(str(tmp_path / "nowhere.jpg")).selected()


@pytest.mark.faults
@pytest.mark.parametrize("damage", BROKEN)
def test_what_is_broken_is_named(tmp_path: Path, damage) -> None:
    with pytest.raises(ValueError, match=r"mine\.png cannot be read as an image"):
        Photographs(str(damage(tmp_path / "mine.png"))).selected()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "data.size must be positive, got 0"),
        ({"multiple": 0}, "data.multiple must be at least 1, got 0"),
        ({"channels": 0}, "data.channels must be at least 1 .* got 0"),
        ({"batch_size": 0}, "data.batch_size must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Photographs(**settings)


def test_another_multiple_is_another_fingerprint(tmp_path: Path) -> None:
    path = str(write(tmp_path / "mine.png", ramp(9, 14)))
    one, other = (Photographs(path, multiple=k).selected().fingerprint() for k in (1, 4))
    assert one != other
