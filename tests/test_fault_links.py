"""Links within a folder of results, planted to lead elsewhere: nothing is written by way of them."""

import json
from pathlib import Path

import pytest
from helpers import refusal
from pictures import flat, write
from PIL import Image
from trainings import words as training

from lightning_inv.callbacks.places import check_place
from lightning_inv.callbacks.shards import finish_shard
from lightning_inv.cli import infer, train
from lightning_inv.data.base import Shard

pytestmark = pytest.mark.faults


@pytest.fixture
def words(prior: Path, tmp_path: Path) -> list[str]:
    """The arguments of a short run on two pictures, one of them in a folder, into ``results``."""
    (tmp_path / "solvers.yaml").write_text("model: {solvers: {mine: {class_path: DDRM}}}\n")
    write(tmp_path / "images" / "a.png", flat("L", (8, 8)))
    write(tmp_path / "images" / "sub" / "b.png", flat("L", (8, 8)))
    return [
        *("--config", str(tmp_path / "solvers.yaml"), "--model.prior", str(prior), "--trainer.logger=false"),
        *("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--model.solvers.mine.steps=1"),
        *("--folder", str(tmp_path / "results"), "--data=ImageFolder", f"--data.root={tmp_path / 'images'}"),
        *("--data.size=8", "--data.channels=1"),
    ]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else, with a picture in it that is not ours."""
    write(tmp_path / "outside" / "b.png", flat("L", (3, 3)))
    (tmp_path / "outside" / "secret").write_text("theirs")
    return tmp_path / "outside"


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


FOLDERS = ["mine", "truth", "measurement", "grids", "records", ".parts", "tallies", "shards", "mine_std"]


@pytest.mark.parametrize("place", [*FOLDERS, "hparams.yaml"])
def test_a_link_in_the_place_of_a_folder_is_told_before_any_work(
    words: list[str], tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture, place: str
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / place).symlink_to(outside / "secret" if place == "hparams.yaml" else outside)
    before = contents(outside)
    said = refusal(infer, words, capsys)
    assert f"{tmp_path / 'results' / place} leads to another place" in " ".join(said.split())
    assert contents(outside) == before


@pytest.mark.parametrize("place", ["mine", "truth", "records", ".parts"])
def test_a_file_in_the_place_of_a_folder_is_told_before_any_work(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture, place: str
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / place).write_text("theirs")
    said = refusal(infer, words, capsys)
    assert f"{tmp_path / 'results' / place} is in the place of a folder of results" in " ".join(said.split())
    assert contents(tmp_path / "results") == {tmp_path / "results" / place: b"theirs"}


def test_a_link_that_leads_nowhere_yet_is_not_followed(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "mine").symlink_to(tmp_path / "new")
    refusal(infer, words, capsys)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("folder", ["mine", "truth", "measurement"])
def test_a_link_in_the_place_of_a_folder_in_a_name_is_not_followed(
    words: list[str], tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture, folder: str
) -> None:
    (tmp_path / "results" / folder).mkdir(parents=True)
    (tmp_path / "results" / folder / "sub").symlink_to(outside)
    before = contents(outside)
    said = refusal(infer, words, capsys)
    assert f"{tmp_path / 'results' / folder / 'sub'} leads to another place" in " ".join(said.split())
    assert contents(outside) == before


def test_a_link_in_the_place_of_a_problem_is_not_followed(
    words: list[str], tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "problems.yaml").write_text(
        "model: {measurement: null, problems: {one: {measurement: {operator: {class_path: Identity}}}}}\n"
    )
    (outside / "records").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "one").symlink_to(outside)
    before = contents(outside)
    said = refusal(infer, [*words, "--config", str(tmp_path / "problems.yaml")], capsys)
    assert f"{tmp_path / 'results' / 'one'} leads to another place" in " ".join(said.split())
    assert contents(outside) == before


FILES = ["config.yaml", "metrics.csv", "summary.json", "mine/a.png", "mine/sub/b.png", "truth/a.png"]


@pytest.mark.parametrize("place", [*FILES, "grids/000000.png"])
def test_a_link_in_the_place_of_a_file_is_replaced(
    words: list[str], tmp_path: Path, outside: Path, place: str
) -> None:
    link = tmp_path / "results" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / "secret")
    before = contents(outside)
    infer(words)
    assert contents(outside) == before
    assert not link.is_symlink()
    assert link.stat().st_size > 6


@pytest.mark.parametrize(
    ("place", "why"),
    [(".lock", "nothing can be written to {}"), ("manifest.json", "{}/manifest.json is damaged")],
)
def test_a_link_in_the_place_of_what_a_run_begins_with_is_not_written_through(
    words: list[str], tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture, place: str, why: str
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / place).symlink_to(outside / "secret")
    before = contents(outside)
    assert why.format(tmp_path / "results") in " ".join(refusal(infer, words, capsys).split())
    assert contents(outside) == before


@pytest.mark.parametrize("place", ["checkpoints", "hparams.yaml"])
def test_a_training_is_not_written_by_way_of_a_link(
    tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture, place: str
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / place).symlink_to(outside / ("secret" if place == "hparams.yaml" else "."))
    before = contents(outside)
    said = refusal(train, training(tmp_path / "run"), capsys)
    assert f"{tmp_path / 'run' / place} leads to another place" in " ".join(said.split())
    assert contents(outside) == before


FOLDER_OF_ITS_OWN = "{class_path: CSVLogger, init_args: {save_dir: %s}}"
IN_THE_FOLDER = "{class_path: CSVLogger, init_args: {save_dir: %s, name: '', version: ''}}"
ADVANCED = "{class_path: AdvancedProfiler, init_args: {dirpath: %s/p, filename: x}}"
LIBRARIES = {
    "logger": ("lightning_logs", "", lambda run: {"logger": FOLDER_OF_ITS_OWN % run}),
    "metrics": ("metrics.csv", "new", lambda run: {"logger": IN_THE_FOLDER % run}),
    "profiler": (
        "fit-x.txt",
        "secret",
        lambda run: {"profiler": "{class_path: SimpleProfiler, init_args: {filename: x}}"},
    ),
    "its folder": ("p", "", lambda run: {"profiler": ADVANCED % run}),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_loggers_and_profilers_do_not_write_by_way_of_a_link(
    tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture, library: str
) -> None:
    place, to, settings = LIBRARIES[library]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / place).symlink_to(outside / to)
    before = contents(outside)
    more = [f"--trainer.{key}={value}" for key, value in settings(tmp_path / "run").items()]
    said = refusal(train, training(tmp_path / "run", *more), capsys)
    assert f"{tmp_path / 'run' / place} leads to another place" in " ".join(said.split())
    assert contents(outside) == before


def test_a_profiler_may_write_to_a_folder_that_was_chosen(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "link").symlink_to(outside)
    profiler = f"{{class_path: SimpleProfiler, init_args: {{dirpath: {tmp_path}/link, filename: x}}}}"
    train(training(tmp_path / "run", f"--trainer.profiler={profiler}", "--trainer.max_steps=2"))
    assert (outside / "fit-x.txt").stat().st_size


def test_a_link_in_the_place_of_the_mark_of_a_shard_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "results" / "shards").mkdir(parents=True)
    (tmp_path / "results" / "shards" / "0-of-2").symlink_to(tmp_path / "new")
    assert finish_shard(tmp_path / "results", Shard(0, 2)) == 1
    assert not (tmp_path / "new").exists()


def test_a_link_in_the_place_of_the_manifest_of_shards_is_replaced(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "manifest.json").symlink_to(tmp_path / "new")
    infer([*words, "--data.shard=1/2"])
    assert not (tmp_path / "new").exists()
    assert json.loads((tmp_path / "results" / "manifest.json").read_text())


def test_the_folder_itself_may_be_a_link(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "scratch" / "own").mkdir(parents=True)
    (tmp_path / "results").symlink_to(tmp_path / "scratch" / "own")
    infer(words)
    with Image.open(tmp_path / "scratch" / "own" / "mine" / "sub" / "b.png") as image:
        assert image.size == (8, 8)


def test_results_of_other_settings_are_not_removed_by_way_of_a_link(
    words: list[str], tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture
) -> None:
    infer(words)
    (tmp_path / "results" / "grids").rename(tmp_path / "results" / "old")
    (tmp_path / "results" / "grids").symlink_to(outside)
    before = contents(outside)
    refusal(infer, [*words, "--model.seed=7", "--output.overwrite=true"], capsys)
    assert contents(outside) == before


@pytest.mark.parametrize("path", ["../x/a.png", "a/../../a.png"])
def test_a_place_outside_is_refused_whoever_asks(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="leads to another place"):
        check_place(tmp_path, tmp_path / path)
