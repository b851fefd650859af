"""Image files as they come, good and bad, by the command line and by each data module."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
from helpers import names_of, refusal
from pictures import empty, flat, numbers, ramp, save, text, truncated, write
from PIL import ExifTags, Image

from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.cli import infer
from lightning_inv.data import ImageDataModule, ImageFolder, MeasurementFolder, Photographs
from lightning_inv.data.image_files import FolderDataset, find_images, image_size, read_image
from lightning_inv.operators.masks import read_mask

pytestmark = pytest.mark.faults

MODULES: dict[str, Callable[[Path], ImageDataModule]] = {
    "ImageFolder": lambda root: ImageFolder(str(root), 8, 1),
    "Photographs": lambda root: Photographs(str(root), 8, 1),
    "MeasurementFolder": lambda root: MeasurementFolder(str(root), channels=1),
}


@pytest.fixture
def words(prior: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The arguments of a short run on the pictures in ``images``, into ``results``."""

    def make(data: str = "ImageFolder", *more: str) -> list[str]:
        root = "path" if data == "Photographs" else "root"
        (tmp_path / "solvers.yaml").write_text("model: {solvers: {mine: {class_path: DDRM}}}\n")
        return [
            *("--config", str(tmp_path / "solvers.yaml"), "--folder", str(tmp_path / "results")),
            *("--model.prior", str(prior), "--model.solvers.mine.steps=1", "--trainer.logger=false"),
            *("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", f"--data={data}"),
            *(f"--data.{root}={tmp_path / 'images'}", "--data.channels=1", *more),
        ]

    return make


def good(folder: Path, size: tuple[int, int] = (8, 8)) -> list[str]:
    """Writes one grey in files of many kinds; returns their names."""
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    for mode in ("L", "RGB", "P", "LA", "RGBA", "I;16"):
        write(folder / f"{mode[0]}{len(mode)}.png", flat(mode, size))
    write(folder / "cmyk.jpg", flat("RGB", size).convert("CMYK"))
    write(folder / "turned.jpg", flat("RGB", size), exif=turned)
    clear = Image.new("RGBA", size, (0, 0, 0, 204))  # black over white, of which a fifth shines through
    write(folder / "clear.png", clear)
    save(folder / "deep.png", np.full((3, *size), 0.2), "uint16")
    return sorted(path.stem for path in folder.iterdir())


@pytest.mark.parametrize(
    ("data", "more", "size"),
    [
        ("ImageFolder", "--data.size=8", (8, 8)),
        ("ImageFolder", "--data.size=8", (1, 1)),
        ("Photographs", "--data.size=8", (1, 1)),
        ("MeasurementFolder", "--model.measurement.operator=Identity", (8, 8)),
    ],
)
def test_pictures_of_every_kind_are_restored(
    words: Callable[..., list[str]], tmp_path: Path, data: str, more: str, size: tuple[int, int]
) -> None:
    names = good(tmp_path / "images", size)
    assert infer(words(data, more))["images"] == len(names)
    given = "measurement" if data == "MeasurementFolder" else "truth"
    for name in names:
        with Image.open(tmp_path / "results" / given / f"{name}.png") as image:
            assert image.size == (8, 8)
            assert np.abs(np.asarray(image, float) - 51).max() <= 3, name


def cut_jpeg(path: Path) -> Path:
    write(path, ramp(16, 16), quality=95)
    path.write_bytes(path.read_bytes()[:-60])
    return path


def huge(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(hostile.png(hostile.HUGE))
    return path


FAULTS = {"a.png": truncated, "a.jpg": cut_jpeg, "text.png": text, "empty.png": empty, "huge.png": huge}


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("name", FAULTS)
def test_a_file_that_is_no_good_picture_is_named_by_each_module(
    tmp_path: Path, name: str, module: str
) -> None:
    write(tmp_path / "good.png", flat("L", (8, 8)))
    FAULTS[name](tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name} cannot be read as an image: "):
        MODULES[module](tmp_path).selected()


@pytest.mark.parametrize("name", ["a.jpg", "huge.png"])
def test_a_file_that_is_no_good_picture_is_told_before_any_work(
    words: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture, name: str
) -> None:
    FAULTS[name](tmp_path / "images" / name)
    said = refusal(infer, words("ImageFolder", "--data.size=8"), capsys)
    assert f"{name} cannot be read as an image: " in " ".join(said.split())
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "deep.tif", "a.npy"])
@pytest.mark.parametrize("look", [lambda path: read_image(path, 1), image_size], ids=["decode", "header"])
def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[[Path], Any], name: str
) -> None:
    if name in ("deep.tif", "a.npy"):
        path = save(tmp_path / name, numbers(1), "float16")
    else:
        path = write(tmp_path / name)
    path.chmod(0)
    if os.geteuid() == 0:  # root may read all

        def refuse(path: Path, *_: Any) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ValueError, match=rf"{name} cannot be read as an image: .*Permission denied"):
        look(path)


def test_what_is_no_file_is_no_picture(tmp_path: Path) -> None:
    write(tmp_path / "good.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    (tmp_path / "above").symlink_to(tmp_path)
    (tmp_path / "zeros.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.png")  # whoever opens it waits for ever
    assert find_images(tmp_path) == [tmp_path / "good.png"]


def test_a_pipe_is_no_photograph(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(FileNotFoundError, match=r"there is no photograph.*pipe\.png"):
        Photographs(str(tmp_path / "pipe.png")).selected()


def test_a_pipe_is_no_mask(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match=r"there is no mask .*pipe\.png"):
        read_mask(tmp_path / "pipe.png", (1, 8, 8))


def test_a_link_to_a_picture_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.png", flat("L", (8, 8))).rename(tmp_path / "elsewhere")
    (tmp_path / "b.png").symlink_to(tmp_path / "elsewhere")
    assert names_of(ImageFolder(str(tmp_path), 8, 1)) == ["b"]


@pytest.mark.parametrize("harm", [Path.unlink, truncated, text, huge])
def test_a_file_that_is_spoilt_in_mid_run_is_named_and_what_is_done_stays(
    words: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[Path], Any],
) -> None:
    for k in range(3):
        write(tmp_path / "images" / f"{k}.png", ramp(8, 8))
    read = FolderDataset.__getitem__

    def spoil(self: FolderDataset, index: int) -> dict[str, Any]:
        if index == 2:
            harm(self.files[index])
        return read(self, index)

    monkeypatch.setattr(FolderDataset, "__getitem__", spoil)
    said = refusal(infer, words("ImageFolder", "--data.size=8", "--data.batch_size=1"), capsys)
    assert "2.png cannot be read as an image: " in " ".join(said.split())
    assert len(said.splitlines()) <= 3
    assert Manifest(tmp_path / "results").done() == {0, 1}
    assert {file.name for file in (tmp_path / "results" / "mine").iterdir()} == {"0.png", "1.png"}
