"""Folders of results that were left in the middle, forged, or belong to another run."""

import os
from pathlib import Path

import pytest
import torch
from comparisons import words as comparing
from helpers import refusal
from restorations import arguments
from trainings import words as training

from lightning_inv.callbacks import clearing, manifest
from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.overview import overview
from lightning_inv.callbacks.pictures import write_png
from lightning_inv.callbacks.places import check_no_other, check_no_results, problems_in
from lightning_inv.cli import infer, train

pytestmark = pytest.mark.faults

SETTINGS = {"seed": 0, "solvers": {"ddrm": {}}}
PICTURES = {"truth", "measurement", "grids", "ddrm"}


@pytest.fixture
def results(tmp_path: Path) -> Manifest:
    """A folder with the record of one image and its pictures."""
    manifest = Manifest(tmp_path)
    manifest.open(SETTINGS, overwrite=False)
    manifest.add([{"index": 0, "name": "a"}])
    for name in PICTURES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").touch()
    return manifest


# Runs that were killed


@pytest.mark.parametrize("killed_at", ["records", *sorted(PICTURES)])
def test_an_overwrite_that_is_killed_leaves_no_record_of_pictures_that_are_gone(
    results: Manifest, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    clear, glob = clearing.clear, Path.glob

    def killed(path: Path, known: set[str]) -> None:
        if path.name == killed_at:
            raise KeyboardInterrupt
        clear(path, known)

    records_last = {"key": lambda path: path.name == "records"}  # as some file systems list them
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(sorted(glob(self, pattern), **records_last)))
    monkeypatch.setattr(manifest, "clear", killed)
    with pytest.raises(KeyboardInterrupt):
        results.open({**SETTINGS, "seed": 1}, overwrite=True)
    there = {path.parent.name for path in results.folder.glob("*/a.png")}
    assert there == PICTURES or not Manifest(results.folder).done()


def test_pictures_of_a_run_that_was_killed_before_its_first_record_are_not_mixed_with_others(
    tmp_path: Path,
) -> None:
    Manifest(tmp_path).open(SETTINGS, overwrite=False)
    touched(tmp_path / "ddrm" / "a.png")
    with pytest.raises(ValueError, match="holds results of another run, which differs in: seed"):
        Manifest(tmp_path).open({**SETTINGS, "seed": 1}, overwrite=False)
    Manifest(tmp_path, ["a"]).open({**SETTINGS, "seed": 1}, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_run_that_has_written_no_picture_stands_in_nobodys_way(tmp_path: Path) -> None:
    Manifest(tmp_path).open(SETTINGS, overwrite=False)
    touched(tmp_path / "mine" / "a.png")
    assert not Manifest(tmp_path).open({**SETTINGS, "seed": 1}, overwrite=False)


def test_an_overwrite_stops_where_records_cannot_be_removed(
    results: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(PermissionError, match="records"):
        results.open({**SETTINGS, "seed": 1}, overwrite=True)


# Records and pictures that somebody has forged


@pytest.mark.parametrize("name", ["../../secret", "/secret", "a/../../secret", "", None, 3])
def test_a_record_whose_name_leads_elsewhere_is_none(tmp_path: Path, name: object) -> None:
    manifest = Manifest(tmp_path)
    manifest.add([{"index": 0, "name": name, "solvers": {"ddrm": {"psnr": 20.0}}}])
    with pytest.raises(ValueError, match="records is damaged: the record 0 has no name of a place within"):
        manifest.read(range(1))


def test_a_record_of_a_solver_whose_name_leads_elsewhere_is_none(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.add([{"index": 0, "name": "a", "solvers": {"../../ddrm": {"psnr": 20.0}}}])
    with pytest.raises(ValueError, match="records is damaged: the record 0 has no name of a place within"):
        manifest.read(range(1))


RECORDS = {"one": [{"index": 0, "name": "sub/a", "solvers": {"ddrm": {"psnr_of_mean": 20.0}}}]}


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """A folder of results with two pictures of one image, and beside it a picture of somebody else."""
    for place in ("results/one/truth/sub", "results/one/ddrm/sub"):
        write_png(tmp_path / place / "a.png", torch.full((1, 8, 8), -1.0))
    write_png(tmp_path / "theirs" / "a.png", torch.zeros(1, 8, 8))
    return tmp_path / "results"


@pytest.mark.parametrize("place", ["one/ddrm/sub/a.png", "one/ddrm/sub"], ids=["file", "folder"])
def test_a_picture_elsewhere_is_not_shown_by_way_of_a_link(shown: Path, place: str) -> None:
    (shown / "one/ddrm/sub/a.png").unlink()
    gap = overview(shown, RECORDS).tobytes()
    if place.endswith("sub"):
        (shown / place).rmdir()
    (shown / place).symlink_to(shown.parent / "theirs" / ("" if place.endswith("sub") else "a.png"))
    assert overview(shown, RECORDS).tobytes() == gap


def test_a_pipe_in_the_place_of_a_picture_is_not_waited_for(shown: Path) -> None:
    (shown / "one/ddrm/sub/a.png").unlink()
    gap = overview(shown, RECORDS).tobytes()
    os.mkfifo(shown / "one/ddrm/sub/a.png")
    keeper = os.open(shown / "one/ddrm/sub/a.png", os.O_RDWR)  # else to open it would wait for ever
    try:
        assert overview(shown, RECORDS).tobytes() == gap
    finally:
        os.close(keeper)


@pytest.mark.parametrize("keep", [0, 5, 20, 40])
def test_a_picture_of_results_that_is_broken_is_named(shown: Path, keep: int) -> None:
    file = shown / "one/ddrm/sub/a.png"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=f"{file} cannot be read as a picture"):
        overview(shown, RECORDS)


# Folders of another run


def touched(*files: Path) -> dict[Path, bytes]:
    """Files that are made, with what they hold."""
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("theirs: true\n")
    return {file: file.read_bytes() for file in files}


OWN = {
    "manifest.json": '{\n "seed": 0,\n "solvers": {}\n}',
    "config.yaml": "# lightning.pytorch==2.6\nfolder: run\n",
}
"""How files begin that runs leave."""


def left(*files: Path) -> dict[Path, bytes]:
    """Files as runs leave them, with what they hold."""
    touched(*files)
    for file in files:
        file.write_text(OWN.get(file.name, ""))
    return {file: file.read_bytes() for file in files}


def unchanged(files: dict[Path, bytes]) -> bool:
    return all(file.read_bytes() == content for file, content in files.items())


@pytest.mark.parametrize("several", [False, True])
def test_a_restoration_is_refused_where_a_training_is_whose_settings_it_would_replace(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture, several: bool
) -> None:
    run = tmp_path / "run"
    held = touched(run / "config.yaml", run / "checkpoints" / "last.ckpt")
    said = refusal(infer, (comparing if several else arguments)(prior, run), capsys)
    assert f"{run} holds a training; give --folder another name for the results." in said
    assert unchanged(held)
    assert {path.name for path in run.iterdir()} == {"config.yaml", "checkpoints"}


@pytest.mark.parametrize("place", ["manifest.json", "hidden/manifest.json"])
def test_a_training_is_refused_where_results_are_whose_settings_it_would_replace(
    tmp_path: Path, capsys: pytest.CaptureFixture, place: str
) -> None:
    run = tmp_path / "run"
    held = left(run / "config.yaml", run / place)
    said = refusal(train, training(run), capsys)
    assert f"{run} holds results of infer.py; give --folder another name for the training." in said
    assert unchanged(held)


def test_a_training_does_not_take_the_settings_of_a_restoration(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    touched(tmp_path / "config.yaml", tmp_path / "manifest.json")
    said = refusal(train, [f"--data.root={tmp_path}", f"--folder={tmp_path}", "--ckpt_path=auto"], capsys)
    assert f"{tmp_path} holds results of infer.py" in said


def test_a_run_of_several_problems_is_refused_where_one_of_them_is_a_run_of_its_own(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    infer(arguments(prior, tmp_path / "run" / "hidden", "--data.limit=1"))
    held = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    said = refusal(infer, comparing(prior, tmp_path / "run"), capsys)
    assert f"{tmp_path / 'run' / 'hidden'} holds a run of its own; give --folder another name." in said
    assert unchanged(held)


def test_a_run_of_its_own_is_refused_where_a_problem_of_several_has_its_results(
    tmp_path: Path,
) -> None:
    left(*(tmp_path / name for name in ("run/config.yaml", "run/hidden/manifest.json")))
    with pytest.raises(
        ValueError, match=f"hidden holds results of a problem of the run in {tmp_path / 'run'}"
    ):
        check_no_other(tmp_path / "run" / "hidden", [])


@pytest.mark.parametrize("name", ["config.yaml", "metrics.csv", "summary.json"])
def test_a_file_that_no_run_has_left_is_not_replaced_by_a_restoration(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture, name: str
) -> None:
    run = tmp_path / "run"
    held = touched(run / name)
    said = refusal(infer, arguments(prior, run), capsys)
    assert f"{run / name} is in the place of a file that is written here, but no run has left it" in said
    assert unchanged(held)
    assert [path.name for path in run.iterdir()] == [name]


@pytest.mark.parametrize("name", ["comparison.md", "hidden/summary.json"])
def test_a_file_that_no_run_has_left_is_not_replaced_by_a_comparison(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture, name: str
) -> None:
    held = touched(tmp_path / "run" / name)
    said = refusal(infer, comparing(prior, tmp_path / "run"), capsys)
    assert f"{tmp_path / 'run' / name} is in the place of a file that is written here" in said
    assert unchanged(held)


@pytest.mark.parametrize("name", ["config.yaml", "prior.safetensors"])
def test_a_file_that_no_run_has_left_is_not_replaced_by_a_training(
    tmp_path: Path, capsys: pytest.CaptureFixture, name: str
) -> None:
    held = touched(tmp_path / "run" / name)
    said = refusal(train, training(tmp_path / "run"), capsys)
    assert f"{tmp_path / 'run' / name} is in the place of a file that is written here" in said
    assert unchanged(held)


def test_a_folder_in_the_place_of_a_report_is_told_before_any_work(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "run" / "metrics.csv").mkdir(parents=True)
    said = refusal(infer, arguments(prior, tmp_path / "run"), capsys)
    assert f"{tmp_path / 'run' / 'metrics.csv'} is in the place of a file that is written here" in said
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["metrics.csv"]


def test_a_run_goes_on_where_it_has_only_saved_its_configuration(tmp_path: Path) -> None:
    train(training(tmp_path / "run", "--trainer.max_steps=1"))
    for path in [*tmp_path.glob("run/checkpoints/*"), tmp_path / "run" / "prior.safetensors"]:
        path.unlink()
    (tmp_path / "run" / "checkpoints").rmdir()
    train(training(tmp_path / "run", "--trainer.max_steps=1"))
    assert (tmp_path / "run" / "prior.safetensors").exists()


def test_a_training_may_hold_results_in_a_folder_of_their_own(tmp_path: Path) -> None:
    touched(tmp_path / "restored" / "config.yaml", tmp_path / "restored" / "manifest.json")
    assert not problems_in(tmp_path)
    check_no_results(tmp_path)


def test_results_of_several_problems_are_not_mixed_with_those_of_one(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    held = left(*(tmp_path / "run" / name for name in ("config.yaml", "summary.json")))
    held |= left(*(tmp_path / "run" / name / "manifest.json" for name in ("hidden", "coarse")))
    said = refusal(infer, arguments(prior, tmp_path / "run"), capsys)
    assert f"{tmp_path / 'run'} holds results of problems, coarse, hidden; give --folder another name" in said
    assert unchanged(held)
