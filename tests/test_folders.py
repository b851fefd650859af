"""Folders of images and of measurements: names, splits, and what is broken."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import names_of
from pictures import BROKEN, flat, ramp, text, write
from PIL import Image

from lightning_inv.data import (
    ImageDataModule,
    ImageFolder,
    MeasurementFolder,
)
from lightning_inv.data.folder import hash_fraction
from lightning_inv.data.image_files import image_names


def test_folders_in_folders_are_read_in_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.JPG", "a/c d/ü ñ.png", "雪.png"):
        write(tmp_path / name)
    text(tmp_path / "notes.txt")
    write(tmp_path / ".hidden.png")
    (tmp_path / "folder.png").mkdir()
    assert names_of(ImageFolder(str(tmp_path), 4)) == ["a/c d/ü ñ", "a/z", "b", "雪"]


def test_an_item_has_its_image_name_and_index(tmp_path: Path) -> None:
    write(tmp_path / "a.png", flat("L"))
    write(tmp_path / "b.png", flat("RGB"))
    item = ImageFolder(str(tmp_path), (4, 6), 1).dataset("all")[1]
    assert (item["name"], item["index"], item["image"].shape) == ("b", 1, (1, 4, 6))


@pytest.mark.faults
@pytest.mark.parametrize("files", [["a.png", "a.jpg"], ["a.png", "a.jpg", "a.png.png"]])
def test_files_that_differ_in_their_suffix_have_names_of_their_own(files: list[str]) -> None:
    names = image_names(Path(), [Path(file) for file in files])
    assert len(set(names)) == len(files)


def test_splits_are_disjoint_and_complete(tmp_path: Path) -> None:
    for i in range(20):
        write(tmp_path / f"{i}.png")
    data = ImageFolder(str(tmp_path), 4, 1, val_fraction=0.5)
    train, val = set(names_of(data, "train")), set(names_of(data, "val"))
    assert train
    assert val
    assert not train & val
    assert train | val == set(names_of(data))


@pytest.mark.parametrize(("fraction", "held_out"), [(1e-9, 1), (0.0, 0)])
def test_one_of_few_images_is_held_out_unless_none_is_wanted(
    tmp_path: Path, fraction: float, held_out: int
) -> None:
    for i in range(3):
        write(tmp_path / f"{i}.png")
    data = ImageFolder(str(tmp_path), 4, 1, val_fraction=fraction)
    assert (len(data.dataset("val")), len(data.dataset("train"))) == (held_out, 3 - held_out)


def test_images_that_are_added_move_no_other_to_another_split(tmp_path: Path) -> None:
    for i in range(20):
        write(tmp_path / f"{i}.png")
    before = {f.name for f in ImageFolder(str(tmp_path), 4, 1, val_fraction=0.5).dataset("val").files}
    for i in range(20):
        write(tmp_path / f"{i}.jpg")
        write(tmp_path / f"new {i}.png")
    after = {f.name for f in ImageFolder(str(tmp_path), 4, 1, val_fraction=0.5).dataset("val").files}
    old = {f"{i}.png" for i in range(20)}
    assert after & old == before


@pytest.mark.parametrize("fraction", [0.05, 0.3])
def test_the_share_of_validation_is_about_what_was_asked_for(fraction: float) -> None:
    held_out = sum(hash_fraction(f"folder/image {i}") < fraction for i in range(2000)) / 2000
    assert abs(held_out - fraction) < 4 * (fraction * (1 - fraction) / 2000) ** 0.5


@pytest.mark.faults
@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_file_stops_before_any_work(tmp_path: Path, damage: Callable[[Path], Path]) -> None:
    write(tmp_path / "good.png")
    damage(tmp_path / "sub" / "broken.png")
    with pytest.raises(ValueError, match=r"sub/broken\.png .* \(1 of 2 images are broken"):
        ImageFolder(str(tmp_path), 4, 1).setup("fit")


@pytest.mark.faults
@pytest.mark.parametrize("damage", BROKEN)
def test_only_the_broken_file_is_skipped(tmp_path: Path, damage: Callable[[Path], Path]) -> None:
    for name in ("a.png", "c.png"):
        write(tmp_path / name)
    damage(tmp_path / "b.png")
    data = ImageFolder(str(tmp_path), 4, 1, skip_broken=True)
    data.setup("fit")
    assert names_of(data) == ["a", "c"]


@pytest.mark.faults
def test_a_folder_of_broken_files_alone_is_refused(tmp_path: Path) -> None:
    text(tmp_path / "a.png")
    with pytest.raises(
        ValueError, match=r"every image in .* is left out: .*a\.png cannot be read as an image"
    ):
        ImageFolder(str(tmp_path), 4, 1, skip_broken=True).setup("fit")


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        (np.full((4, 4), 200.0), "data.value_range"),
        (np.full((4, 4), 200), "data.value_range"),
        (np.zeros((4, 4, 5)), "data.channels"),
    ],
)
def test_a_file_that_does_not_fit_a_setting_is_not_told_to_be_broken(
    tmp_path: Path, values: np.ndarray, setting: str
) -> None:
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", values)
    text(tmp_path / "c.png")
    with pytest.raises(ValueError, match=rf"a\.npy .*\(2 of 3 .* need another {setting}\.\)$") as caught:
        ImageFolder(str(tmp_path), 4, 1).setup("fit")
    assert "skip_broken" not in str(caught.value)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_file_of_what_is_no_number_is_broken(tmp_path: Path, number: float) -> None:
    np.save(tmp_path / "a.npy", np.array([[0, number]]))
    with pytest.raises(ValueError, match=r"\(1 of 1 images are broken"):
        ImageFolder(str(tmp_path), 4, 1).setup("fit")


def told_of_bits(folder: Path, *levels: int, **settings: Any) -> str:
    """What is told of a folder of pictures of 16 bits that reach to these levels."""
    for number, level in enumerate(levels):
        write(folder / f"{number}.png", Image.fromarray(np.array([[0, level]], dtype=np.uint16)))
    write(folder / "other.png", flat("L"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ImageFolder(str(folder), 1, 1, **settings).setup("fit")
    return " ".join(str(warning.message) for warning in caught)


@pytest.mark.parametrize(
    ("levels", "white"),
    [((900, 4095), 4095), ((3000,), 4095), ((4096, 7), 16383), ((600, 1000), 1023), ((255,), 255)],
)
def test_fewer_bits_than_the_file_has_are_told(tmp_path: Path, levels: tuple, white: int) -> None:
    told = told_of_bits(tmp_path, *levels)
    assert f"reach only to {max(levels)} of 65535, in {tmp_path}" in told
    assert f"--data.value_range [0,{white}]" in told


@pytest.mark.parametrize("levels", [(100, 40000), (2**14,), (0, 0), ()])
def test_pictures_that_may_have_all_bits_are_told_nothing_of(tmp_path: Path, levels: tuple) -> None:
    assert told_of_bits(tmp_path, *levels) == ""


def test_a_range_that_is_given_is_not_told(tmp_path: Path) -> None:
    assert told_of_bits(tmp_path, 4095, value_range=(0, 4095)) == ""


def test_fewer_bits_of_measurements_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((4, 4), 4000, dtype=np.uint16))
    with pytest.warns(UserWarning, match=r"--data\.value_range \[0,4095\]"):
        MeasurementFolder(str(tmp_path), channels=1).dataset("all")


@pytest.mark.faults
def test_unverified_images_fail_when_they_are_read(tmp_path: Path) -> None:
    text(tmp_path / "a.png")
    images = ImageFolder(str(tmp_path), 4, 1, verify=False).dataset("all")
    with pytest.raises(ValueError, match=r"a\.png cannot be read"):
        images[0]


@pytest.mark.parametrize("kind", [lambda root: ImageFolder(root, 4), lambda root: MeasurementFolder(root)])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, kind: Callable[[str], ImageDataModule]) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        kind(str(tmp_path / "nowhere")).dataset("all")


@pytest.mark.faults
@pytest.mark.parametrize("kind", [lambda root: ImageFolder(root, 4), lambda root: MeasurementFolder(root)])
def test_a_folder_without_images_is_named(tmp_path: Path, kind: Callable[[str], ImageDataModule]) -> None:
    text(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError, match=rf"no image .* in {tmp_path}"):
        kind(str(tmp_path)).dataset("all")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size must be positive, got 0"),
        ({"size": (8, -1)}, "size must be positive"),
        ({"channels": 0}, "channels must be at least 1 .*, got 0"),
        ({"value_range": (1, 0)}, r"value_range must be two growing numbers, got \[1, 0\]"),
        ({"val_fraction": 1.0}, r"val_fraction must be in \[0, 1\), got 1.0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"limit": 0}, "limit must be at least 1, got 0"),
        ({"split": "test"}, "ImageFolder has the splits all, train, val; got 'test'"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageFolder("anywhere", **{"size": 8, **settings})


def test_the_fingerprint_tells_that_a_file_changed(tmp_path: Path) -> None:
    write(tmp_path / "a.png", flat("L"))
    before = ImageFolder(str(tmp_path), 4, 1).dataset("all").fingerprint()
    write(tmp_path / "a.png", ramp(4, 6))
    assert ImageFolder(str(tmp_path), 4, 1).dataset("all").fingerprint() != before


# Folders of measurements


def test_measurements_are_read_as_they_are(tmp_path: Path) -> None:
    write(tmp_path / "a.png", ramp(5, 7))
    item = MeasurementFolder(str(tmp_path), channels=1).dataset("all")[0]
    assert item.keys() == {"measurement", "name", "index"}
    np.testing.assert_allclose(item["measurement"][0].numpy() * 127.5 + 127.5, np.arange(35).reshape(5, 7))


def test_the_truth_has_the_name_of_its_measurement(tmp_path: Path) -> None:
    for name in ("b.png", "c.png"):
        write(tmp_path / "y" / name)
    for name, colour in (("a.png", "red"), ("b.jpg", "black"), ("c.png", "white")):
        write(tmp_path / "x" / name, Image.new("RGB", (6, 4), colour))
    data = MeasurementFolder(str(tmp_path / "y"), str(tmp_path / "x"), channels=1, truth_channels=3)
    b, c = data.dataset("all")
    assert (b["name"], b["image"].shape, b["image"].mean()) == ("b", (3, 4, 6), -1)
    assert (c["name"], c["image"].shape, c["image"].mean()) == ("c", (3, 4, 6), 1)


def test_a_missing_truth_is_named(tmp_path: Path) -> None:
    for name in ("y/a.png", "y/b.png", "x/a.png"):
        write(tmp_path / name)
    data = MeasurementFolder(str(tmp_path / "y"), str(tmp_path / "x"), channels=1)
    with pytest.raises(ValueError, match=r"no true image 'b' in .*x \(1 are missing\)"):
        data.dataset("all")


def test_measurements_and_truth_have_shapes_of_their_own(tmp_path: Path) -> None:
    for name, size in (("a", (6, 4)), ("b", (6, 5))):
        write(tmp_path / "y" / f"{name}.png", flat("L", size))
        write(tmp_path / "x" / f"{name}.png", flat("RGB", (12, 8)))
    images = MeasurementFolder(str(tmp_path / "y"), str(tmp_path / "x"), 1, truth_channels=3).dataset("all")
    assert images.shapes(0) == {"measurement": (1, 4, 6), "image": (3, 8, 12)}
    assert images.shapes(1) == {"measurement": (1, 5, 6), "image": (3, 8, 12)}


@pytest.mark.faults
@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_measurement_is_named(tmp_path: Path, damage: Callable[[Path], Path]) -> None:
    damage(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png cannot be read as an image"):
        MeasurementFolder(str(tmp_path), channels=1).dataset("all")


@pytest.mark.parametrize("channels", [{"channels": 0}, {"truth_channels": -1}])
def test_measurements_have_channels(channels: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"channels must be at least 1 .*, got"):
        MeasurementFolder("anywhere", **channels)


def test_measurements_and_their_truth_have_one_range(tmp_path: Path) -> None:
    for folder in "xy":
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "a.npy", np.array([[10.0, 30.0]]))
    data = MeasurementFolder(str(tmp_path / "y"), str(tmp_path / "x"), 1, value_range=(10, 30))
    item = data.dataset("all")[0]
    assert item["measurement"].tolist() == item["image"].tolist() == [[[-1, 1]]]


def test_the_fingerprint_tells_that_the_range_changed(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    of = [ImageFolder(str(tmp_path), 4, 1, value_range=top).dataset("all") for top in (None, (0, 300))]
    assert of[0].fingerprint() != of[1].fingerprint()
