"""The picture of a run of several problems."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from lightning_inv.callbacks.overview import LARGEST, overview
from lightning_inv.callbacks.pictures import BAR, GAP, TILE, write_png


def level(sheet: Image.Image, row: int, column: int, tile: tuple[int, int]) -> int:
    """The grey level at the upper left of a picture in the sheet."""
    across, down = tile[0] + GAP, tile[1] + BAR + GAP
    return sheet.convert("L").getpixel((GAP + column * across + 5, BAR + row * down + 5))


def results(folder: Path, shape: tuple[int, int], levels: dict[str, int]) -> dict[str, list[dict]]:
    """Pictures of one image and two problems, and their records; ``levels`` are grey levels of columns."""
    for problem in ("one", "two"):
        for column, value in levels.items():
            write_png(folder / problem / column / "a.png", torch.full((1, *shape), value / 127.5 - 1))
    told = {"ddrm": {"psnr_of_mean": 20.0}, "other": {"psnr_of_mean": None}}
    return {problem: [{"index": 0, "name": "a", "solvers": dict(told)}] for problem in ("one", "two")}


@pytest.mark.parametrize(
    ("shape", "tile"), [((8, 8), (TILE, TILE)), ((192, 144), (144, 192)), ((1024, 512), (LARGEST, LARGEST))]
)
def test_it_shows_each_problem_in_a_row_and_each_solver_in_a_column(
    tmp_path: Path, shape: tuple[int, int], tile: tuple[int, int]
) -> None:
    records = results(tmp_path, shape, {"truth": 10, "measurement": 20, "ddrm": 30, "other": 40})
    sheet = overview(tmp_path, records)
    assert sheet.size == (4 * (tile[0] + GAP) + GAP, 2 * (tile[1] + BAR + GAP) + BAR + GAP)
    assert [[level(sheet, r, c, tile) for c in range(4)] for r in range(2)] == [[10, 20, 30, 40]] * 2


def test_without_truth_the_measurement_comes_first(tmp_path: Path) -> None:
    sheet = overview(tmp_path, results(tmp_path, (8, 8), {"measurement": 20, "ddrm": 30, "other": 40}))
    assert [level(sheet, 0, c, (TILE, TILE)) for c in range(3)] == [20, 30, 40]


def test_a_solver_that_does_not_serve_a_problem_leaves_a_gap(tmp_path: Path) -> None:
    records = results(tmp_path, (8, 8), {"truth": 10, "measurement": 20, "ddrm": 30, "other": 40})
    del records["two"][0]["solvers"]["other"]
    (tmp_path / "two" / "other" / "a.png").unlink()
    assert level(overview(tmp_path, records), 1, 3, (TILE, TILE)) == 255
