"""Faults of searches: the file that they are kept in is cut off, damaged, or not in its place."""

import dataclasses
import errno
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers import refusal, tiny_prior
from PIL import Image

from lightning_inv.cli import infer
from lightning_inv.priors import save_prior
from lightning_inv.tuning.journal import TrialJournal
from lightning_inv.tuning.search import Search, finished, open_study, run_trials

pytest.importorskip("optuna")
pytestmark = pytest.mark.faults
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.logger=false"]
TUNE = """
data: {class_path: Digits, init_args: {split: val, limit: 2}}
model: {solvers: {mine: {class_path: DDRM, init_args: {steps: 2}}}}
tune: {solver: mine, space: {eta: {low: 0.1, high: 1.0}}, trials: 1, images: 2}
"""


def evaluate(values: Mapping[str, float]) -> Iterator[list[float]]:
    yield [values["weight"]]


def searched(folder: Path, trials: int = 3) -> Any:
    """A search in a folder, begun or gone on with."""
    search = Search("mine", {"weight": {"low": 0.0, "high": 1.0}}, trials, pruner="none")
    study = open_study(search, folder, {})
    run_trials(search, study, evaluate)
    return study


def ended(study: Any) -> list[tuple[dict, float]]:
    return [(trial.params, trial.value) for trial in finished(study)]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The file of a search of three trials."""
    searched(tmp_path)
    return tmp_path / "trials.journal"


@pytest.mark.parametrize("rest", [b"", b'{"op_code": 4', b'{"op_code": 4{"op_code": 6}\n', b"\0\0", b"{}\n"])
def test_what_a_kill_or_a_full_disk_has_left_at_the_end_of_a_search_is_removed(
    journal: Path, rest: bytes
) -> None:
    whole = journal.read_bytes()
    journal.write_bytes(whole + rest)
    TrialJournal(journal)
    assert journal.read_bytes() == whole


@pytest.mark.parametrize("cut", [1, 2, 30, 200, 1000])
def test_a_search_whose_end_was_cut_off_goes_on_again_and_again(journal: Path, cut: int) -> None:
    first = ended(searched(journal.parent))
    journal.write_bytes(journal.read_bytes()[:-cut])
    for trials in (3, 4):
        found = ended(searched(journal.parent, trials))
        assert len(found) == trials
    assert found[:2] == first[:2]


def test_a_search_begun_in_mid_write_of_its_first_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "trials.journal").write_bytes(b'{"op_code": 0, "wor')
    assert len(ended(searched(tmp_path))) == 3


def full(file: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_search_that_met_a_full_disk_goes_on_when_there_is_room(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, kept = ended(searched(journal.parent)), TrialJournal(journal)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device: .*trials\.journal"):
            kept.append_logs([{"op_code": 77}])
    kept.append_logs([])
    assert b'"op_code": 77' not in journal.read_bytes()
    found = ended(searched(journal.parent, 4))
    assert found[:3] == first
    assert len(found) == 4


DAMAGE = {
    "a letter": lambda lines: [lines[0], lines[1].replace(b"settings", b"settinfs"), *lines[2:]],
    "a key": lambda lines: [line.replace(b'"value', b'"valuf') for line in lines],
    "a line lost": lambda lines: lines[1:],
    "two lines exchanged": lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    "no text": lambda lines: [b"\xff\xfe" + lines[0], *lines[1:]],
    "a list": lambda lines: [b"[]\n", *lines],
    "nothing": lambda lines: [b"{}\n", *lines],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_in_the_middle_of_a_search_is_told_and_nothing_is_changed(journal: Path, damage: str) -> None:
    damaged = b"".join(DAMAGE[damage](journal.read_bytes().splitlines(keepends=True)))
    journal.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"trials\.journal is damaged in line \d+: move it away to begin"):
        searched(journal.parent, 4)
    assert journal.read_bytes() == damaged


@pytest.mark.parametrize("step", [{"op": 0}, {"op_code": 77}, {"op_code": 0}, {"op_code": 2, "study_id": []}])
def test_a_journal_that_is_whole_but_of_no_search_is_refused_in_a_sentence(
    tmp_path: Path, step: dict
) -> None:
    TrialJournal(tmp_path / "trials.journal").append_logs([step])
    with pytest.raises(ValueError, match=r"trials\.journal holds no search that optuna .* can read"):
        searched(tmp_path)


def forged(path: Path, change: Callable[[dict], Any]) -> None:
    """Changes all steps of a search; the checksums are right."""
    steps = TrialJournal(path).read_logs(0)
    path.unlink()
    for step in steps:
        change(step)
    TrialJournal(path).append_logs(steps)


def instead(**told: Any) -> Callable[[dict], None]:
    """Steps that tell such a thing tell this instead."""
    return lambda step: step.update({key: value for key, value in told.items() if key in step})


CHOICE = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": [{"a": 1}, "b"]}})
WIDER = json.dumps(
    {"name": "FloatDistribution", "attributes": {"low": 0.0, "high": 9.0, "log": False, "step": None}}
)
FORGED: dict[str, tuple[Callable[[dict], Any], str]] = {
    "direction": (instead(directions=[1]), "no search of this measure: it would ['minimize'], expected max"),
    "directions": (
        instead(directions=[2, 2]),
        "no search of this measure: it would ['maximize', 'maximize']",
    ),
    "nan": (instead(values=[math.nan]), "trial 0 must have finite numbers as values, got nan"),
    "huge": (instead(values=[10**400]), "OverflowError: int too large to convert to float"),
    "text": (instead(values=["x"]), "trial 0 must have finite numbers as values, got 'x'"),
    "two values": (instead(values=[1.0, 2.0]), "trial 0 must have one value, got [1.0, 2.0]"),
    "step": (instead(intermediate_value=math.inf), "trial 0 must have finite numbers as values, got inf"),
    "name": (instead(param_name="steps"), "trial 0 varies 'steps'"),
    "outside": (instead(param_value_internal=7.0), "trial 0 has 7.0 as 'weight'"),
    "no number": (instead(param_value_internal="x"), "trial 0 has 'x' as 'weight'"),
    "choice": (
        instead(param_value_internal=0, distribution=CHOICE),
        "trial 0 draws 'weight' from Categorical",
    ),
    "range": (instead(param_value_internal=7.0, distribution=WIDER), "trial 0 draws 'weight' from Float"),
    "unhashable": (instead(user_attr={"again": {}}), "trial 0 must not have {} as again"),
    "letters": (instead(user_attr={"error_of_mean": "x"}), "trial 0 must not have 'x' as error_of_mean"),
    "fixed": (
        lambda step: (
            step.update(system_attrs={"fixed_params": {"weight": 9}}) if step["op_code"] == 4 else None
        ),
        "trial 0 has ",
    ),
    "constraints": (
        lambda step: step.update(system_attrs={"constraints": [1]}) if step["op_code"] == 4 else None,
        "trial 0 has constraints",
    ),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_search_is_refused_by_the_name_of_its_file(journal: Path, kind: str) -> None:
    """What it tells would be the best, and be written into the preset."""
    change, told = FORGED[kind]
    forged(journal, change)
    with pytest.raises(ValueError, match=r"trials\.journal holds no search ") as said:
        searched(journal.parent, 4)
    assert told in str(said.value)


@pytest.mark.parametrize(
    "space", [{"weight": {"low": 1, "high": 9, "log": True}}, {"weight": {"choices": [0.5, "a", None, True]}}]
)
def test_an_honest_search_goes_on_whatever_it_varies(space: dict, tmp_path: Path) -> None:
    search = Search("mine", space, 2, pruner="none")
    for trials in (2, 4):
        search = dataclasses.replace(search, trials=trials)
        study = open_study(search, tmp_path, {})
        run_trials(search, study, lambda values: iter([[1.0, 2.0]]))
    assert len(ended(study)) == 4


LINK, NO_FILE = "{} leads to another place", "{} is in the place of a file that is written here, but is none"
FILES = ["trials.journal", "trials.csv", "preset.yaml"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("put", "said"),
    [
        (lambda path: path.symlink_to(path.parent.parent / "theirs"), LINK),
        (lambda path: path.symlink_to(path.parent.parent / "new"), LINK),
        (Path.mkdir, NO_FILE),
        (os.mkfifo, NO_FILE),
    ],
    ids=["a link", "a link to nothing yet", "a folder", "a pipe"],
)
def test_what_is_no_file_in_the_place_of_one_of_a_search_is_told_before_any_work(
    prior: Path, tmp_path: Path, file: str, put: Callable, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "run").mkdir()
    put(tmp_path / "run" / file)
    (tmp_path / "tune.yaml").write_text(TUNE)
    words = [f"--config={tmp_path / 'tune.yaml'}", f"--model.prior={prior}", f"--folder={tmp_path / 'run'}"]
    told = " ".join(refusal(infer, [*words, *QUIET], capsys).split())
    assert said.format(tmp_path / "run" / file) in told
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "run").iterdir()] == [file]


def test_a_link_put_in_the_place_of_a_journal_later_is_not_followed(journal: Path) -> None:
    kept, theirs = TrialJournal(journal), journal.rename(journal.parent / "theirs")
    whole = theirs.read_bytes()
    journal.symlink_to(theirs)
    with pytest.raises(OSError, match=r"trials\.journal"):
        kept.append_logs([{"op_code": 1}])
    with pytest.raises(OSError, match=r"trials\.journal"):
        TrialJournal(journal)
    assert theirs.read_bytes() == whole


def changed_prior(folder: Path) -> None:
    save_prior(folder / "prior.safetensors", tiny_prior(), {})


def changed_mask(folder: Path) -> None:
    Image.new("L", (8, 8), 0).save(folder / "mask.png")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed_prior, "differs in: prior."),
        (changed_mask, "differs in: files."),
        ("--trainer.precision=bf16-mixed", "differs in: precision."),
        ("--model.measurement.sigma=0.3", "differs in: noise."),
        ("--model.solvers.mine.spacing=quadratic", "differs in: solvers."),
    ],
)
def test_trials_of_another_prior_or_problem_are_not_mixed(
    tmp_path: Path, change: Callable | str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changed_prior(tmp_path)
    Image.new("L", (8, 8), 255).save(tmp_path / "mask.png")
    (tmp_path / "tune.yaml").write_text(TUNE)
    measured = "--model.measurement.operator.mask"
    words = [
        *(f"--config={tmp_path / 'tune.yaml'}", f"--folder={tmp_path / 'run'}"),
        *(f"--model.prior={tmp_path / 'prior.safetensors'}", f"{measured}=MaskFile"),
        f"{measured}.path={tmp_path / 'mask.png'}",
    ]
    infer([*words, *QUIET])
    infer([*words, *QUIET, "--data.batch_size=1"])
    kept = (tmp_path / "run" / "trials.csv").read_text()
    more = [change] if isinstance(change, str) else change(tmp_path) or []
    assert said in " ".join(refusal(infer, [*words, *QUIET, "--tune.trials=2", *more], capsys).split())
    assert (tmp_path / "run" / "trials.csv").read_text() == kept


def test_a_search_begun_before_it_held_digests_is_refused(tmp_path: Path) -> None:
    study = searched(tmp_path)
    study.set_user_attr("settings", "{}")
    with pytest.raises(ValueError, match="holds a search of other settings, which differs in: version"):
        searched(tmp_path)
