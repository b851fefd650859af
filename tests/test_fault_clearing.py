"""What is no result of the run that is begun anew stays, whatever it is called and wherever it lies."""

from pathlib import Path

import pytest
from helpers import refusal
from restorations import arguments

from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.cli import infer

pytestmark = pytest.mark.faults
SETTINGS = {"seed": 0, "solvers": {"ddrm": {}}}
OTHER = {"seed": 1, "solvers": {"ddrm": {}, "dps": {}}}


def touched(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("theirs")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def results(tmp_path: Path) -> Manifest:
    """A folder with the record of one image and its picture."""
    manifest = Manifest(tmp_path)
    manifest.open(SETTINGS, overwrite=False)
    manifest.add([{"index": 0}])
    touched(tmp_path / "ddrm" / "a.png")
    return manifest


RUNS = ["ddrm/manifest.json", "truth/mine/config.yaml", "ddrm/checkpoints/last.ckpt"]


@pytest.mark.parametrize("place", RUNS)
def test_a_run_within_another_is_not_removed_with_it(results: Manifest, place: str) -> None:
    touched(results.folder / place)
    before = files(results.folder)
    where = (results.folder / place).parent
    with pytest.raises(ValueError, match=f"{where} holds a run of its own .* is not removed: move it away"):
        results.open({**SETTINGS, "seed": 1}, overwrite=True)
    assert files(results.folder) == before


def test_files_among_pictures_that_no_run_writes_stay(results: Manifest) -> None:
    theirs = {"truth/original.tif", "ddrm/notes/a.txt"}
    touched(*(results.folder / name for name in theirs))
    results.open({**SETTINGS, "seed": 1}, overwrite=True)
    assert files(results.folder) == theirs | {"manifest.json"}


@pytest.mark.parametrize("name", ["records/patients.jsonl", "records/notes.txt", "tallies/0.safetensors"])
def test_files_among_records_that_no_run_has_written_are_neither_removed_nor_read(
    results: Manifest, name: str
) -> None:
    touched(results.folder / name)
    with pytest.raises(ValueError, match=f"{results.folder / name} was not written by a run: move it away"):
        results.open({**SETTINGS, "seed": 1}, overwrite=True)
    assert (results.folder / name).exists()
    assert results.done() == {0}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("place", ["records/patients.jsonl", "truth/original.tif", "dps_std/deep/a.png"])
def test_files_where_results_would_lie_are_told_where_no_run_has_been(
    tmp_path: Path, place: str, overwrite: bool
) -> None:
    touched(tmp_path / place)
    where = tmp_path / place.split("/")[0]
    with pytest.raises(ValueError, match=f"{where} holds files that no manifest in {tmp_path} tells of"):
        Manifest(tmp_path).open(OTHER, overwrite)
    assert files(tmp_path) == {place}


def test_files_where_another_solver_would_write_are_told_where_a_run_begins_anew(results: Manifest) -> None:
    touched(results.folder / "dps" / "mine.png")
    before = files(results.folder)
    with pytest.raises(ValueError, match=f"{results.folder / 'dps'} holds files that no manifest in"):
        results.open(OTHER, overwrite=True)
    assert files(results.folder) == before


def test_a_manifest_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "a data set", "seed": 3}')
    with pytest.raises(ValueError, match=r"manifest\.json is damaged, so nobody can tell"):
        Manifest(tmp_path).open(SETTINGS, overwrite=True)


def test_a_run_in_the_folder_of_a_solver_stays_where_the_one_around_it_begins_anew(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    outer = arguments(prior, tmp_path / "results", "--data.limit=1")
    infer(outer)
    infer(arguments(prior, tmp_path / "results" / "ddrm" / "own", "--data.limit=1"))
    before = files(tmp_path / "results")
    said = refusal(infer, [*outer, "--model.seed=3", "--output.overwrite=true"], capsys)
    assert f"{tmp_path / 'results' / 'ddrm' / 'own'} holds a run of its own" in " ".join(said.split())
    assert files(tmp_path / "results") == before
