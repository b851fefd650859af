"""Names of images and planted links: results stay in their folder, and every image has its own."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import GivenImages, names_of, refusal
from pictures import flat, write

from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.places import check_names
from lightning_inv.cli import infer
from lightning_inv.data import ImageDataset, ImageFolder
from lightning_inv.modules import tasks

pytestmark = pytest.mark.faults

LONG = "n" * 250
"""Of 240 bytes with its suffix."""


@pytest.fixture
def words(prior: Path, tmp_path: Path) -> list[str]:
    """The arguments of a short run on the pictures in ``images``, into ``results``."""
    (tmp_path / "solvers.yaml").write_text("model: {solvers: {mine: {class_path: DDRM}}}\n")
    return [
        *("--config", str(tmp_path / "solvers.yaml"), "--model.prior", str(prior), "--trainer.logger=false"),
        *("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--model.solvers.mine.steps=1"),
        *("--folder", str(tmp_path / "results"), "--data=ImageFolder", f"--data.root={tmp_path / 'images'}"),
        *("--data.size=8", "--data.channels=1"),
    ]


def small(path: Path) -> Path:
    return write(path, flat("L", (8, 8)))


def fill(folder: Path, names: list[bytes]) -> None:
    """Puts copies of one picture into a folder."""
    contents = small(folder / "a.png").read_bytes()
    (folder / "a.png").unlink()
    for name in names:
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(contents)


STRANGE = [
    b"line\nbreak.png",
    "雪.png".encode(),
    "\N{SNOWMAN}\N{PILE OF POO}.png".encode(),
    b"-rf.png",
    b"--folder=x.png",
    b"\xff.png",
    b"sub\xfe/\xff.png",
    b"back\\slash.png",
    b"$(touch x).png",
    b"a'b\"c,d.png",
    b"%s{}.png",
    b"..png.png",
    b"...png",
    b"Case.png",
    b"case.png",
    b"same.png",
    b"same.jpg",
    b"x/same.png",
    b"y/same.png",
    b"folder.png/a.png",
    f"{LONG}.jpg".encode(),
]


@pytest.fixture
def strange(tmp_path: Path) -> list[bytes]:
    """The pictures in ``images``, of strange names, as far as this file system takes them."""
    try:
        fill(tmp_path / "images", STRANGE)
    except OSError as error:
        pytest.skip(f"this file system refuses such names: {error}")
    return [name for name in STRANGE if not os.path.basename(name).startswith(b".")]


def test_images_of_strange_names_are_restored_each_to_its_own_file(
    words: list[str], strange: list[bytes], tmp_path: Path
) -> None:
    assert infer(words)["images"] == len(strange)
    names = names_of(ImageFolder(str(tmp_path / "images"), 8, 1))
    assert len(set(names)) == len(strange)
    for folder in ("mine", "truth", "measurement"):
        found = {
            file.relative_to(tmp_path / "results" / folder)
            for file in (tmp_path / "results" / folder).rglob("*.png")
            if file.is_file()
        }
        assert found == {Path(f"{name}.png") for name in names}
    assert {record["name"] for record in Manifest(tmp_path / "results").each(range(100))} == set(names)
    (tmp_path / "results" / "metrics.csv").read_text("utf-8")
    json.loads((tmp_path / "results" / "summary.json").read_bytes())


def test_a_run_on_strange_names_that_is_done_does_nothing_again(
    words: list[str], strange: list[bytes], tmp_path: Path
) -> None:
    first = infer(words)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results" / "mine").rglob("*.png")}
    assert infer(words)["solvers"] == first["solvers"]
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_names_that_are_no_utf_8_belong_to_a_split(tmp_path: Path) -> None:
    fill(tmp_path, [b"%c\xff%d.png" % (65 + i, i) for i in range(20)])
    data = ImageFolder(str(tmp_path), 8, 1, 0.5)
    assert 0 < len(data.dataset("val")) < 20


# Names that cannot be, found before any work


class Named(GivenImages):
    """Images in memory, under names of one's choice.

    Args:
        names: The names.
    """

    splits = ("test",)

    def __init__(self, names: list[Any]) -> None:
        super().__init__({"test": torch.zeros(len(names), 1, 8, 8)})
        self.given = names

    def dataset(self, split: str) -> ImageDataset:
        images = super().dataset(split)
        images.names = self.given
        return images


@pytest.mark.parametrize("name", ["../x", "{}/x", ""])
def test_a_name_that_leads_elsewhere_is_refused_and_nothing_is_written(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture, name: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "data.yaml").write_text(
        json.dumps(
            {
                "data": {
                    "class_path": "test_fault_names.Named",
                    "init_args": {"names": ["good", name.format(outside)]},
                }
            }
        )
    )
    own = words[: words.index("--data=ImageFolder")]
    before = sorted(tmp_path.rglob("*"))
    said = refusal(
        infer, [*own, "--config", str(tmp_path / "data.yaml"), "--packages=[test_fault_names]"], capsys
    )
    assert f"the name {name.format(outside)!r} of an image is no path within a folder" in " ".join(
        said.split()
    )
    assert sorted(tmp_path.rglob("*")) == before


ESCAPES = [
    "../x",
    "/etc/x",
    "a/../../x",
    "a/..",
    "",
    ".",
    "..",
    "./x",
    "a//x",
    "a/",
    "/",
    "x\0y",
    "\0",
]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_is_a_path_within_a_folder(name: str) -> None:
    with pytest.raises(ValueError, match="of an image is no path within a folder"):
        check_names(["good", name])


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["a", "b", "a"], r"the name 'a' of an image is that of two images"),
        (["a", "a.png/b"], r"'a\.png' would be the file of one image and the folder of another"),
        (["a", "a.png/b/c/d"], r"'a\.png' would be the file of one image and the folder of another"),
        ([f"{i}" for i in range(10_000)] + ["x"], None),
        (["0001/x", *(f"{i}" for i in range(9_999)), "x"], r"the name 'x' of an image is that of two images"),
        (["n" * 251], None),
        (["n" * 252], r"with \.png is longer than 255 bytes"),
        (["雪" * 83], None),
        (["雪" * 84], r"with \.png is longer than 255 bytes"),
        (["n" * 255 + "/a"], None),
        (["n" * 256 + "/a"], r"with \.png is longer than 255 bytes"),
        (["\ud800"], r"cannot be that of a file"),
        ([7], r"the name 7 of an image is no text, but int"),
        (["a\\..\\..\\b", "~", "~root/x", "-rf", "a:b", "...", "a..", "..a/b"], None),
    ],
)
def test_names_whose_pictures_cannot_be_written_are_told(names: list[Any], why: str | None) -> None:
    if why is None:
        check_names(names)
    else:
        with pytest.raises(ValueError, match=why):
            check_names(names)


@pytest.mark.parametrize("names", [["a", "a/001.png"], ["a", "a/001.png/b/c"], ["x/a", "x/a/001.png"]])
def test_samples_that_would_be_written_over_one_another_are_told(names: list[str]) -> None:
    check_names([*names, "a/2.png", "b/001.png", "a/0001.png"])
    check_names(["a", "a/001", "a/002.png"], samples=2)
    with pytest.raises(ValueError, match=f"the samples of the image '{names[0]}' would lie in the folder of"):
        check_names(names, samples=2)


def test_names_are_checked_in_a_time_that_grows_as_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"a/b{i % 100}/image{i:07d}" for i in range(100_000)]
    began = time.process_time()
    check_names(names)
    assert time.process_time() - began < 2


def test_a_name_that_is_too_long_with_its_suffix_is_told_before_any_work(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The suffix stays in the names of two files that differ in nothing else."""
    fill(tmp_path / "images", [b"n" * 251 + suffix for suffix in (b".jpg", b".png")])
    said = refusal(infer, words, capsys)
    assert "nn.jpg' of an image with .png is longer than 255 bytes" in " ".join(said.split())
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("letter", "longest"), [("a", 247), ("é", 123), ("汉", 82)])
def test_a_solver_or_a_problem_whose_folders_would_have_too_long_a_name_is_refused(
    letter: str, longest: int, tmp_path: Path
) -> None:
    tasks.check_name(letter * longest, "solver")
    (tmp_path / f"{letter * longest}_samples").mkdir()
    with pytest.raises(ValueError, match="the name of a solver has 247 bytes at most, got "):
        tasks.check_name(letter * (longest + 1), "solver")
