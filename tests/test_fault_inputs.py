"""What a run reads lies where it writes or clears: it is refused, and the files of its user stay."""

import json
from pathlib import Path

import pytest
from helpers import refusal
from pictures import flat, write

from lightning_inv.cli import infer

pytestmark = pytest.mark.faults


@pytest.fixture
def run(prior: Path, tmp_path: Path) -> list[str]:
    """The arguments of a short run into ``exp`` but for its data; the pictures are in ``exp/truth``."""
    (tmp_path / "solvers.yaml").write_text("model: {solvers: {mine: {class_path: DDRM}}}\n")
    for name in "ab":
        write(tmp_path / "exp" / "truth" / f"{name}.png", flat("L", (8, 8)))
    return [
        *("--config", str(tmp_path / "solvers.yaml"), "--model.prior", str(prior), "--trainer.logger=false"),
        *("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--model.solvers.mine.steps=1"),
        *("--folder", str(tmp_path / "exp")),
    ]


def images(root: Path) -> list[str]:
    return ["--data=ImageFolder", f"--data.root={root}", "--data.size=8", "--data.channels=1"]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(words: list[str], exp: Path, capsys: pytest.CaptureFixture) -> str:
    """What is said; nothing in the folder has changed."""
    before = contents(exp)
    said = " ".join(refusal(infer, words, capsys).split())
    assert contents(exp) == before
    return said


@pytest.mark.parametrize("overwrite", ["true", "false"])
def test_pictures_where_truths_are_written_are_not_written_over(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture, overwrite: str
) -> None:
    exp = tmp_path / "exp"
    said = refused([*run, *images(exp / "truth"), f"--output.overwrite={overwrite}"], exp, capsys)
    assert f"{exp / 'truth' / 'a.png'} is read, and lies in {exp / 'truth'}, where this run writes" in said


def test_true_images_beside_measurements_are_not_written_over(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    exp, given = tmp_path / "exp", tmp_path / "given"
    for name in "ab":
        write(given / f"{name}.png", flat("L", (8, 8)))
    data = ["--data=MeasurementFolder", f"--data.root={given}", f"--data.truth={exp / 'truth'}"]
    more = ["--data.channels=1", "--model.measurement.operator=Identity"]
    assert f"lies in {exp / 'truth'}, where this run writes" in refused([*run, *data, *more], exp, capsys)


def test_pictures_are_not_written_over_by_way_of_links(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    exp, links = tmp_path / "exp", tmp_path / "links"
    links.mkdir()
    (links / "a.png").symlink_to(exp / "truth" / "a.png")
    said = refused([*run, *images(links)], exp, capsys)
    assert f"{links / 'a.png'} is read, and lies in {exp / 'truth'}" in said


def test_results_of_another_solver_are_not_cleared_where_they_are_read(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    exp = tmp_path / "exp"
    (exp / "truth").rename(tmp_path / "given")
    infer([*run, *images(tmp_path / "given")])
    (tmp_path / "solvers.yaml").write_text("model: {solvers: {other: {class_path: PseudoInverse}}}\n")
    words = [word for word in run if "steps" not in word]
    said = refused([*words, *images(exp / "mine"), "--output.overwrite=true"], exp, capsys)
    assert f"lies in {exp / 'mine'}, where this run writes" in said


@pytest.mark.parametrize(("masks", "how"), [("exp/truth", "lies in"), (".", "holds"), ("exp", "holds")])
def test_masks_where_results_are_written_are_refused(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture, masks: str, how: str
) -> None:
    (tmp_path / "exp" / "truth").rename(tmp_path / "given")
    for name in "ab":
        write(tmp_path / masks / f"{name}.png", flat("L", (8, 8)))
    mask = {"class_path": "MaskFolder", "init_args": {"folder": str(tmp_path / masks)}}
    operator = {"class_path": "Inpainting", "init_args": {"mask": mask}}
    (tmp_path / "masks.yaml").write_text(json.dumps({"model": {"measurement": {"operator": operator}}}))
    words = [*run, "--config", str(tmp_path / "masks.yaml"), *images(tmp_path / "given")]
    said = refused(words, tmp_path / "exp", capsys)
    assert "is read, and " + how in said


def test_pictures_beside_the_results_are_read(run: list[str], tmp_path: Path) -> None:
    (tmp_path / "exp" / "truth").rename(tmp_path / "exp" / "given")
    words = [*run, *images(tmp_path / "exp" / "given")]
    assert infer(words)["images"] == infer(words)["images"] == 2
