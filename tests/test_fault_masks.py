"""Masks of every kind of picture: what is brighter than the middle of the file's own range is seen."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from lightning_inv.operators.masks import read_mask

pytestmark = pytest.mark.faults

SEEN = np.tri(4, 6, 1, dtype=bool)
KINDS = {"uint8": 255, "uint16": 65535, "float32": 1.0}


def mask(path: Path, seen: np.ndarray = SEEN) -> np.ndarray:
    return read_mask(path, (1, *seen.shape))[0].numpy() == 1


def write(path: Path, dark: float, light: float, kind: str, **settings: object) -> Path:
    values = np.where(SEEN, light * KINDS[kind], dark * KINDS[kind]).astype(kind)
    if path.suffix == ".tif":
        tifffile.imwrite(path, values, **{"photometric": "minisblack", "metadata": None} | settings)
    else:
        Image.fromarray(values).save(path, **settings)
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.png", "uint8"), ("a.png", "uint16"), ("a.tif", "uint8"), ("a.tif", "uint16"), ("a.tif", "float32")],
)
@pytest.mark.parametrize(("dark", "light"), [(0, 1), (0.02, 0.98), (0.45, 0.55)])
def test_a_mask_is_seen_above_the_middle_of_its_own_range(
    tmp_path: Path, name: str, kind: str, dark: float, light: float
) -> None:
    assert (mask(write(tmp_path / name, dark, light, kind)) == SEEN).all()


@pytest.mark.parametrize(("kind", "most"), [("uint16", 700 / 65535), ("uint8", 1 / 255)])
def test_a_mask_by_which_nothing_would_be_seen_is_refused(tmp_path: Path, kind: str, most: float) -> None:
    """As masks of 0 and 1 would be, which NumPy makes."""
    with pytest.raises(ValueError, match="so that nothing would be seen; what is seen must be white"):
        mask(write(tmp_path / "a.png", 0, most, kind))


@pytest.mark.parametrize("most", [255, 1000, 65535])
def test_a_pgm_has_the_range_that_it_tells(tmp_path: Path, most: int) -> None:
    values = np.where(SEEN, most, most * 2 // 5).astype(">u2" if most > 255 else "u1")
    (tmp_path / "a.pgm").write_bytes(b"P5 6 4 %d\n" % most + values.tobytes())
    assert (mask(tmp_path / "a.pgm") == SEEN).all()


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_mask_is_turned_as_images_are(tmp_path: Path, kind: str, orientation: int) -> None:
    told = Image.Exif()
    told[ExifTags.Base.Orientation] = orientation
    upright = np.rot90(SEEN, {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    assert (mask(write(tmp_path / "a.png", 0, 1, kind, exif=told), upright) == upright).all()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"extratags": [(274, "H", 1, 6, True)]}, "it is a TIFF on its side"),
        ({"photometric": "miniswhite"}, "or of 16 bits with 0 as white"),
    ],
)
def test_a_tiff_that_pillow_garbles_is_no_mask(tmp_path: Path, settings: dict, why: str) -> None:
    write(tmp_path / "a.tif", 0, 1, "uint16", **settings)
    with pytest.raises(ValueError, match=rf"the mask .*a\.tif cannot be read: .*{why}"):
        mask(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "values",
    [SEEN.astype(np.int32), SEEN.astype(np.float32) * 255, np.where(SEEN, np.nan, 0).astype(np.float32)],
    ids=["int32", "255.0", "nan"],
)
def test_a_mask_of_numbers_of_no_known_range_is_refused(tmp_path: Path, values: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", metadata=None)
    with pytest.raises(ValueError, match=r"the mask .*a\.tif cannot be read: its numbers, from"):
        mask(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", [bool, np.uint8])
def test_a_tiff_of_few_bits_in_which_0_is_white_is_a_mask(tmp_path: Path, kind: type) -> None:
    values = SEEN if kind is bool else SEEN.astype(kind) * 255
    tifffile.imwrite(tmp_path / "a.tif", ~values, photometric="miniswhite", metadata=None)
    assert (mask(tmp_path / "a.tif") == SEEN).all()
