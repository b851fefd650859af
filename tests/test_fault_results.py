"""Folders of results that were left in the middle, forged, or belong to another run."""

import shutil
from pathlib import Path

import pytest

from lightning_inv.callbacks.manifest import Manifest

pytestmark = pytest.mark.faults

SETTINGS = {"seed": 0, "solvers": {"ddrm": {}}}
PICTURES = {"truth", "measurement", "grids", "ddrm"}


@pytest.fixture
def results(tmp_path: Path) -> Manifest:
    """A folder with the record of one image and its pictures."""
    manifest = Manifest(tmp_path)
    manifest.open(SETTINGS, overwrite=False)
    manifest.add([{"index": 0}])
    for name in PICTURES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").touch()
    return manifest


# Runs that were killed


@pytest.mark.parametrize("killed_at", ["records", *sorted(PICTURES)])
def test_an_overwrite_that_is_killed_leaves_no_record_of_pictures_that_are_gone(
    results: Manifest, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    remove, glob = shutil.rmtree, Path.glob

    def killed(path: Path, ignore_errors: bool = False) -> None:
        if path.name == killed_at:
            raise KeyboardInterrupt
        remove(path, ignore_errors=ignore_errors)

    records_last = {"key": lambda path: path.name == "records"}  # as some file systems list them
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(sorted(glob(self, pattern), **records_last)))
    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        results.open({**SETTINGS, "seed": 1}, overwrite=True)
    there = {path.parent.name for path in results.folder.glob("*/a.png")}
    assert there == PICTURES or not Manifest(results.folder).done()


def test_an_overwrite_stops_where_records_cannot_be_removed(
    results: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refused)
    with pytest.raises(PermissionError, match="records"):
        results.open({**SETTINGS, "seed": 1}, overwrite=True)
