"""Faults of runs that go on: what decides a result was changed meanwhile, and nothing is mixed."""

from pathlib import Path

import pytest
from PIL import Image

from lightning_inv.files import file_digest
from lightning_inv.operators.masks import MaskFolder

pytestmark = pytest.mark.faults


def mask(path: Path, grey: int = 255) -> Path:
    """Writes a mask of 8 x 8 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), grey).save(path)
    return path


# Masks


def test_a_mask_changed_in_a_folder_by_way_of_a_link_is_noticed(tmp_path: Path) -> None:
    changed = mask(tmp_path / "real" / "deep" / "a.png")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "s").symlink_to(tmp_path / "real")
    before = MaskFolder(str(tmp_path / "masks")).fingerprint()
    mask(changed, 0)
    assert MaskFolder(str(tmp_path / "masks")).fingerprint() != before


def test_links_of_masks_that_change_places_are_noticed(tmp_path: Path) -> None:
    root = tmp_path / "masks"
    for name, grey in (("a", 0), ("b", 255)):
        mask(root / name / "0.png", grey)
    (root / "c").symlink_to(root / "a")
    before = MaskFolder(str(root)).fingerprint()
    (root / "c").unlink()
    (root / "c").symlink_to(root / "b")
    assert MaskFolder(str(root)).fingerprint() != before


def test_masks_whose_links_lead_in_a_circle_are_looked_at_once(tmp_path: Path) -> None:
    file = mask(tmp_path / "a" / "0.png")
    for name in ("a", "b"):
        (tmp_path / name).mkdir(exist_ok=True)
        for other in ("a", "b", "."):
            (tmp_path / name / f"to_{other}").symlink_to(tmp_path / other)
    told = MaskFolder(str(tmp_path)).fingerprint()
    assert ["a/0.png", file_digest(file)] in told
    assert len(told) == 7


def test_masks_without_links_are_told_as_in_manifests_of_old(tmp_path: Path) -> None:
    files = [mask(tmp_path / name, grey) for grey, name in enumerate(["a/b/0.png", "a/1.png", "a-b.png"])]
    expected = [[file.relative_to(tmp_path).as_posix(), file_digest(file)] for file in sorted(files)]
    assert MaskFolder(str(tmp_path)).fingerprint() == expected
