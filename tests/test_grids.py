"""The comparison grid."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from lightning_inv.callbacks.pictures import BAR, GAP, TILE, _short, comparison, write_picture


def grid(columns: int, **settings: int) -> torch.Tensor:
    """The pixels of a grid of two rows; the images of column c have the grey level 10 c."""
    rows = [[(torch.full((1, 8, 8), c * 10 / 127.5 - 1), "") for c in range(columns)] for _ in range(2)]
    sheet = comparison([str(c) for c in range(columns)], rows, **settings).convert("L")
    return torch.tensor(list(sheet.tobytes())).view(sheet.height, sheet.width)


def test_many_columns_lie_in_bands_that_begin_alike() -> None:
    sheet = grid(7, fixed=2, widest=4)
    height = 2 * (TILE + BAR + GAP) + BAR + GAP
    assert sheet.shape == (3 * height, 4 * (TILE + GAP) + GAP)
    middle = [GAP + c * (TILE + GAP) + TILE // 2 for c in range(4)]
    levels = [[int(sheet[band * height + BAR + 5, x]) for x in middle] for band in range(3)]
    assert levels == [[0, 10, 20, 30], [0, 10, 40, 50], [0, 10, 60, 255]]


def test_few_columns_lie_side_by_side() -> None:
    assert grid(4, fixed=2, widest=4).shape[1] == 4 * (TILE + GAP) + GAP
    assert grid(1).shape[1] == TILE + 2 * GAP


def test_a_long_heading_loses_its_middle() -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(13)
    told = _short("plug_and_play_with_a_long_name_1000", font)
    assert font.getlength(told) <= TILE
    assert told.startswith("plug_and")
    assert told.endswith("1000")
    assert _short("ddrm_20", font) == "ddrm_20"


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.webp", "WEBP")])
def test_the_name_of_a_picture_says_how_it_is_written(tmp_path: Path, name: str, kind: str) -> None:
    write_picture(tmp_path / name, Image.new("RGB", (5, 4)))
    with Image.open(tmp_path / name) as image:
        assert (image.format, image.size) == (kind, (5, 4))
