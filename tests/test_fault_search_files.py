"""A search replaces no file of somebody else, whatever that is called."""

from pathlib import Path

import pytest
from helpers import refusal

from lightning_inv.cli import infer
from lightning_inv.tuning.journal import TrialJournal

pytest.importorskip("optuna")
pytestmark = pytest.mark.faults
WORDS = [
    "--data=Digits",
    "--data.split=val",
    "--data.limit=2",
    "--model.solvers.ddrm.steps=2",
    "--tune.solver=ddrm",
    "--tune.trials=1",
    "--tune.images=2",
    "--tune.space={eta: {low: 0.5, high: 1.0}}",
    "--trainer.accelerator=cpu",
    "--trainer.logger=false",
    "--trainer.enable_progress_bar=false",
]
THEIRS = b'{"op_code": 0, "worker_id": "x", "study_name": "my own optuna study"}\n'


def search(prior: Path, folder: Path) -> list[str]:
    return [f"--model.prior={prior}", f"--folder={folder}", *WORDS]


@pytest.mark.parametrize("journal", [None, b""])
@pytest.mark.parametrize("file", ["trials.csv", "preset.yaml"])
def test_a_file_that_no_search_has_left_is_not_replaced_by_one(
    prior: Path, tmp_path: Path, file: str, journal: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / file).write_text("MINE")
    if journal is not None:
        (tmp_path / "trials.journal").write_bytes(journal)
    told = " ".join(refusal(infer, search(prior, tmp_path), capsys).split())
    assert f"{tmp_path / file} is in the place of a file that is written here, but no trials.journal" in told
    assert (tmp_path / file).read_text() == "MINE"


def test_a_journal_of_somebody_else_is_not_replaced_by_a_search(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "preset.yaml").write_text("MINE")
    (tmp_path / "trials.journal").write_bytes(THEIRS)
    told = " ".join(refusal(infer, search(prior, tmp_path), capsys).split())
    assert f"{tmp_path / 'trials.journal'} is damaged in line 1: move it away" in told
    assert (tmp_path / "trials.journal").read_bytes() == THEIRS
    assert (tmp_path / "preset.yaml").read_text() == "MINE"


@pytest.mark.parametrize("text", [THEIRS, THEIRS[:-1], b"notes", b"notes\n", b"\0", b"\n", b"{}"])
def test_a_journal_of_one_line_that_is_not_ours_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "trials.journal"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"trials\.journal is .*: move it away"):
        TrialJournal(path)
    assert path.read_bytes() == text


def test_a_search_of_which_any_part_of_the_first_line_was_written_begins_anew(
    prior: Path, tmp_path: Path
) -> None:
    infer(search(prior, tmp_path))
    infer(search(prior, tmp_path))  # its own files stand in nobody's way
    path = tmp_path / "trials.journal"
    first = path.read_bytes().split(b"\n")[0]
    for end in range(len(first) + 1):
        path.write_bytes(first[:end])
        assert not TrialJournal(path).read_logs(0)
        assert not path.read_bytes()
