"""Folders of runs among the images that they read: results are not taken for images."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import refusal
from pictures import flat, write
from restorations import forget
from trainings import words as training

from lightning_inv.cli import infer, train
from lightning_inv.data.image_files import find_images
from lightning_inv.locks import at_work

pytestmark = pytest.mark.faults
SAVED = "# lightning.pytorch==2.6.6\nmodel: null\nfolder: runs\n"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of two pictures, one of them in a folder."""
    write(tmp_path / "images" / "a.png", flat("L", (8, 8)))
    write(tmp_path / "images" / "sub" / "b.png", flat("L", (8, 8)))
    return tmp_path / "images"


@pytest.fixture
def words(prior: Path, images: Path, tmp_path: Path) -> list[str]:
    """The arguments of a short run on them but for its folder."""
    (tmp_path / "solvers.yaml").write_text("model: {solvers: {mine: {class_path: DDRM}}}\n")
    return [
        *("--config", str(tmp_path / "solvers.yaml"), "--model.prior", str(prior), "--trainer.logger=false"),
        *("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--model.solvers.mine.steps=1"),
        *("--data=ImageFolder", f"--data.root={images}", "--data.size=8", "--data.channels=1"),
    ]


def found(images: Path) -> list[str]:
    return [file.relative_to(images).as_posix() for file in find_images(images)]


def test_a_run_among_its_images_goes_on_where_it_was_interrupted(words: list[str], images: Path) -> None:
    own = [*words, f"--folder={images / 'results'}"]
    infer(own)
    forget(images / "results", 1)
    assert infer(own)["images"] == 2


def test_a_run_among_its_images_sees_the_same_from_its_first_start_on(words: list[str], images: Path) -> None:
    """There is a picture of the user in its folder already."""
    write(images / "results" / "c.png", flat("L", (8, 8)))
    own = [*words, f"--folder={images / 'results'}"]
    assert infer(own)["images"] == infer(own)["images"] == 2


def test_results_of_one_run_are_no_images_of_another(words: list[str], images: Path) -> None:
    infer([*words, f"--folder={images / 'sub' / 'one'}"])
    assert infer([*words, f"--folder={images / 'two'}"])["images"] == 2


def test_results_of_several_problems_are_no_images(images: Path) -> None:
    (images / "run" / "box").mkdir(parents=True)
    (images / "run" / "config.yaml").write_text(SAVED)
    for place in ("comparison.png", "box/truth/a.png"):
        write(images / "run" / place, flat("L", (8, 8)))
    assert found(images) == ["a.png", "sub/b.png"]


def test_samples_of_a_training_are_no_images(images: Path) -> None:
    train(training(images / "run", "--trainer.max_steps=1"))
    write(images / "run" / "samples.png", flat("L", (8, 8)))
    assert found(images) == ["a.png", "sub/b.png"]


def test_pictures_of_a_run_that_was_killed_are_no_images(images: Path) -> None:
    with contextlib.suppress(KeyError), at_work(images / "run"):
        write(images / "run" / "truth" / "a.png", flat("L", (8, 8)))
        assert found(images) == ["a.png", "sub/b.png"]


def test_to_look_for_images_does_not_let_go_of_the_folder(images: Path) -> None:
    ask = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with at_work(images / "run"):
        assert found(images) == ["a.png", "sub/b.png"]
        asked = subprocess.run([sys.executable, "-c", ask, images / "run" / ".lock"], capture_output=True)
        assert b"BlockingIOError" in asked.stderr


@pytest.mark.parametrize("name", ["manifest.json", "config.yaml", ".lock"])
def test_images_beside_files_that_only_have_the_names_of_ours_are_read(images: Path, name: str) -> None:
    (images / "sub" / name).write_text('{"seed": 3, "model": "mine"}')
    assert found(images) == ["a.png", "sub/b.png"]


def test_the_folder_of_results_may_itself_be_read(words: list[str], images: Path, tmp_path: Path) -> None:
    infer([*words, f"--folder={tmp_path / 'run'}"])
    assert len(find_images(tmp_path / "run")) > 2
    assert found(tmp_path / "run" / "truth") == ["a.png", "sub/b.png"]


@pytest.mark.parametrize("script", [infer, train], ids=["infer", "train"])
def test_a_run_into_the_very_folder_of_its_images_is_refused(
    words: list[str], images: Path, capsys: pytest.CaptureFixture, script: object
) -> None:
    data = [word for word in words if word.startswith("--data")]
    own = words if script is infer else [*training(images.parent / "run"), *data]
    said = refusal(script, [*own, f"--folder={images}"], capsys)
    assert f"a run writes to {images}, or one that was killed" in " ".join(said.split())
    assert found(images) == ["a.png", "sub/b.png"]
