"""What is no result of the run that is begun anew stays, whatever it is called and wherever it lies."""

from pathlib import Path

import pytest
from helpers import refusal
from restorations import SOLVERS, arguments

from lightning_inv.callbacks.manifest import CHECKSUM, Manifest, digest, write_json
from lightning_inv.cli import infer

pytestmark = pytest.mark.faults
SETTINGS = {"seed": 0, "solvers": {"ddrm": {}}}
GIVEN = ("truth", "measurement")
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
    manifest.add([{"index": 0, "name": "a"}])
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
    theirs = {"truth/original.tif", "ddrm/notes/a.txt", "truth/0001/a.png", "ddrm/b/000.png"}
    theirs |= {"ddrm/holiday.png", "ddrm_samples/b/000.png", "ddrm_samples/a/cover.png"}
    theirs |= {"grids/party.png", "grids/20240101.png", "ddrm/000000.png"}
    touched(*(results.folder / name for name in theirs))
    results.open({**SETTINGS, "seed": 1}, overwrite=True)
    assert files(results.folder) == theirs | {"manifest.json"}


def test_all_pictures_of_images_that_have_a_record_are_removed(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.open(SETTINGS, overwrite=False)
    manifest.add([{"index": 3, "name": "b/c.png"}, {"index": 20_000, "name": "b/c.png"}])
    for place in ("b/c.png", "0002/b/c.png"):
        touched(*(tmp_path / folder / f"{place}.png" for folder in ("truth", "ddrm", "ddrm_std")))
        touched(*(tmp_path / "ddrm_samples" / place / f"{k:03d}.png" for k in (0, 1, 1000)))
    touched(tmp_path / "grids" / "000003.png", tmp_path / "grids" / "0002" / "020000.png")
    manifest.open(OTHER, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_pictures_in_any_folder_that_a_forged_manifest_names_stay(results: Manifest) -> None:
    forged = {"seed": 0, "solvers": {"photos": {}, "ddrm": {}}}
    write_json(results.path, forged | {CHECKSUM: digest(forged)})
    theirs = {"photos/holiday.png", "photos/deep/001.png"}
    touched(*(results.folder / name for name in theirs))
    Manifest(results.folder, ["000", "001"]).open(SETTINGS, overwrite=True)
    assert files(results.folder) >= theirs


def test_pictures_that_are_unknown_after_a_kill_stay_and_stand_in_nobodys_way(results: Manifest) -> None:
    """The records went first; of the pictures those of the images that are to be restored are known."""
    touched(results.folder / "ddrm" / "b.png")
    for record in (results.folder / "records").iterdir():
        record.unlink()
    manifest = Manifest(results.folder, ["a", "c"])
    assert manifest.open(OTHER, overwrite=True) == set()
    assert files(results.folder) == {"manifest.json", "ddrm/b.png"}
    assert manifest.open(OTHER, overwrite=False) == set()
    assert manifest.open(SETTINGS, overwrite=True) == set()
    assert files(results.folder) == {"manifest.json", "ddrm/b.png"}


def test_an_overwrite_removes_what_was_left_and_leaves_what_was_put_there(
    prior: Path, tmp_path: Path
) -> None:
    words = arguments(prior, tmp_path, "--data.limit=2", "--model.samples=2")
    infer(words)
    before = files(tmp_path)
    theirs = {"ddrm/holiday.png", "truth/sub/holiday.png", "grids/holiday.png"}
    touched(*(tmp_path / name for name in theirs))
    infer([*words, "--model.samples=1", "--data.limit=1", "--output.overwrite=true"])
    left = {name for name in files(tmp_path) if name.endswith(".png")} - theirs
    assert left == {f"{name}/digit0009.png" for name in (*GIVEN, *SOLVERS)} | {"grids/000000.png"}
    assert theirs <= files(tmp_path)
    assert len(before) > 20


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
