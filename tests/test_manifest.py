"""Where the pictures of a folder of results lie, and what of them a run of other settings takes away."""

from pathlib import Path

import pytest

from lightning_inv.callbacks.manifest import Manifest, picture_path


@pytest.mark.parametrize(
    ("index", "place"), [(0, "a.png"), (9999, "a.png"), (10000, "0001/a.png"), (29999, "0002/a.png")]
)
def test_a_folder_holds_ten_thousand_pictures(index: int, place: str, tmp_path: Path) -> None:
    assert picture_path(tmp_path, index, "a") == tmp_path / place


def test_overwrite_removes_all_that_a_run_has_left_and_nothing_else(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.open({"seed": 0, "solvers": {"ddrm": {}}}, overwrite=False)
    manifest.add([{"index": 0}])
    made = ("tallies", "truth", "measurement", "grids", "ddrm", "ddrm_std", "ddrm_samples")
    for name in (*made, "mine"):
        (tmp_path / name).mkdir()
    assert not Manifest(tmp_path).open({"seed": 1, "solvers": {"ddrm": {}}}, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", "mine"}


def test_overwrite_removes_nothing_where_no_run_has_been(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "mine.png").touch()
    with pytest.raises(ValueError, match=f"{tmp_path / 'truth'} holds files that no manifest in"):
        Manifest(tmp_path).open({"seed": 1, "solvers": {"ddrm": {}}}, overwrite=True)
    assert (tmp_path / "truth" / "mine.png").exists()
