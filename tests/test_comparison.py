"""Several problems in one job: as single runs, interrupted or not, with tables that tell the truth."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from comparisons import PROBLEMS, SOLVERS, figures, steady, words
from helpers import refusal
from PIL import Image
from restorations import ROOT, comparable, pixels, recorded, rows

from lightning_inv.callbacks.pictures import BAR, GAP, TILE
from lightning_inv.cli import infer


@pytest.fixture(scope="module")
def compared(prior: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison without an interruption."""
    folder = tmp_path_factory.mktemp("compared") / "run"
    infer(words(prior, folder))
    return folder


def test_every_problem_has_its_results_and_the_comparison_its_files(compared: Path) -> None:
    for problem in PROBLEMS:
        solvers = {row["solver"] for row in rows(compared / problem)}
        assert solvers == ({"plug_and_play"} if problem == "bright" else set(SOLVERS))
        assert len(recorded(compared / problem)) == 4
        assert len(list((compared / problem / "grids").glob("*.png"))) == 4
    with Image.open(compared / "comparison.png") as sheet:
        assert sheet.size == (5 * (TILE + GAP) + GAP, 6 * (TILE + BAR + GAP) + BAR + GAP)
    for plot in ("psnr_nfe.png", "psnr_seconds.png"):
        with Image.open(compared / plot) as image:
            assert image.size == (1440, 480)  # three panels
            assert len(set(image.convert("L").tobytes())) > 20
    assert not (compared / "records").exists()


@pytest.mark.parametrize("problem", ["hidden", "coarse"])
def test_a_problem_is_solved_as_in_a_run_of_its_own(
    prior: Path, compared: Path, problem: str, tmp_path: Path
) -> None:
    alone = {
        "measurement": PROBLEMS[problem]["measurement"],
        "problems": None,
        "solvers": SOLVERS | PROBLEMS[problem].get("solvers", {}),
    }
    infer(words(prior, tmp_path / "alone", model=alone))
    assert comparable(tmp_path / "alone") == comparable(compared / problem)
    for solver in SOLVERS:
        assert (pixels(tmp_path / "alone", solver) == pixels(compared / problem, solver)).all()
    own, ours = (
        json.loads((folder / "manifest.json").read_text())
        for folder in (tmp_path / "alone", compared / problem)
    )
    assert own == ours


def test_solvers_of_a_problem_replace_those_of_all(compared: Path) -> None:
    settings = json.loads((compared / "coarse" / "manifest.json").read_text())["solvers"]
    assert settings["ddrm_3"]["init_args"]["eta"] == 0.5
    assert settings["ddrm_5"]["init_args"]["eta"] == 0.85


def test_batch_size_does_not_change_the_table(prior: Path, compared: Path, tmp_path: Path) -> None:
    infer(words(prior, tmp_path / "run", "--data.batch_size=3"))
    for one, other in zip(figures(tmp_path / "run"), figures(compared), strict=True):
        for key, value in one.items():
            if key in ("mean", "standard_error", "low", "high") and value:
                assert float(value) == pytest.approx(float(other[key]), abs=1e-3)
            else:
                assert value == other[key]


def test_a_killed_comparison_that_goes_on_gives_the_same_table(
    prior: Path, compared: Path, tmp_path: Path
) -> None:
    """Kill -9 in the middle of the second problem."""
    folder = tmp_path / "run"
    own = {"ddrm_3": {"class_path": "DDRM", "init_args": {"steps": 200}}}
    slow = {"problems": PROBLEMS | {"coarse": PROBLEMS["coarse"] | {"solvers": own}}}
    command = [sys.executable, str(ROOT / "infer.py"), *words(prior, folder, model=slow)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None and not recorded(folder / "coarse"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {name: recorded(folder / name) for name in PROBLEMS}
    assert 4 < sum(map(len, done.values())) < 8
    assert not (folder / "comparison.csv").exists()

    infer(words(prior, folder, model=slow))
    infer(words(prior, tmp_path / "straight", model=slow))
    assert all(own.items() <= recorded(folder / name).items() for name, own in done.items())
    assert figures(folder) == figures(tmp_path / "straight")
    assert steady(folder) == steady(tmp_path / "straight")
    assert figures(folder) != figures(compared)


def test_only_the_problems_that_lack_a_record_are_solved(prior: Path, compared: Path, tmp_path: Path) -> None:
    fewer = {name: PROBLEMS[name] for name in ("hidden", "coarse")}
    infer(words(prior, tmp_path / "run", model={"problems": fewer}))
    before = {name: recorded(tmp_path / "run" / name) for name in fewer}
    infer(words(prior, tmp_path / "run"))
    assert [len(own) for own in before.values()] == [4, 4]
    assert before == {name: recorded(tmp_path / "run" / name) for name in fewer}
    assert figures(tmp_path / "run") == figures(compared)
    assert steady(tmp_path / "run") == steady(compared)


def test_a_solver_that_does_not_serve_a_problem_is_told(
    prior: Path, compared: Path, capsys: pytest.CaptureFixture
) -> None:
    capsys.readouterr()
    infer(words(prior, compared))
    said, page = capsys.readouterr().out, (compared / "comparison.md").read_text()
    for text in (said, page):
        assert "ddrm_3 is left out: DDRM needs a linear operator with a singular value" in text
    assert "| ddrm_3 | - |" in page


HIDDEN = PROBLEMS["hidden"]
REFUSED = {
    "solver": (
        {"solvers": {"ddrm": {"class_path": "DDRM"}}},
        "",
        "'bright': no solver serves it. DDRM needs",
    ),
    "none": ({"problems": {}}, "", "model.problems must name at least one problem"),
    "name": ({"problems": {"a/b": HIDDEN}}, "", "the name of a problem is made of letters"),
    "folder": ({"problems": {"checkpoints": HIDDEN}}, "", "'checkpoints' is the name of a folder of a run"),
    "both": ({"measurement": HIDDEN["measurement"]}, "", "model.measurement or model.problems, not both"),
    "setting": ({}, "--model.solvers.ddrm_5.steps=0", "problem 'hidden': DDRM.steps must be in [1, 1000]"),
    "reference": ({}, "--compare.reference=ddrm", "compare.reference must be a solver, ddrm_3, ddrm_5, plug"),
    "data": ({}, "--data=NoImages", "problem 'hidden': there is nothing to measure"),
    "flag": ({}, "--model.problems.coarse.solvers.ddrm_3.steps=2", "solvers cannot be changed by flags"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_said_before(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture, case: str
) -> None:
    model, flag, message = REFUSED[case]
    given = words(prior, tmp_path / "run", model=model)
    arguments = [word for word in given if not (case == "data" and word.startswith("--data"))]
    arguments += [flag] if flag else []
    assert message in refusal(infer, arguments, capsys)
    assert not (tmp_path / "run").exists()


def test_settings_of_compare_need_problems(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    alone = {"measurement": PROBLEMS["hidden"]["measurement"], "problems": None}
    said = refusal(infer, words(prior, tmp_path / "a", "--compare.reference=ddrm_3", model=alone), capsys)
    assert "the settings of compare are for model.problems" in said


def test_results_of_a_single_problem_are_not_mixed_with_those_of_several(
    prior: Path, finished: Path, capsys: pytest.CaptureFixture
) -> None:
    said = refusal(infer, words(prior, finished), capsys)
    assert "holds results of one problem; give --folder another name" in said


def test_a_changed_problem_is_refused_by_name(
    prior: Path, compared: Path, capsys: pytest.CaptureFixture
) -> None:
    said = refusal(infer, words(prior, compared, "--model.problems.coarse.measurement.sigma=0.2"), capsys)
    assert "coarse holds results of another run, which differs in: noise" in said


def test_samples_tell_how_well_they_describe_the_posterior(prior: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    infer(words(prior, folder, "--model.samples=3", "--data.limit=2", "--compare.reference=ddrm_3"))
    found = {(row["problem"], row["solver"], row["measure"]): row for row in figures(folder)}
    told = [row for row in rows(folder / "hidden") if row["solver"] == "ddrm_5"]
    spread, skill = (torch.tensor([float(row[key]) for row in told]) for key in ("spread", "skill"))
    ratio = (4 / 3 * spread.square().sum() / skill.square().sum()).sqrt()
    assert float(found["hidden", "ddrm_5", "spread_skill"]["mean"]) == pytest.approx(float(ratio), rel=1e-4)
    for measure in ("coverage", "crps", "energy_score"):
        mean = sum(float(row[measure]) for row in told) / 2
        assert float(found["hidden", "ddrm_5", measure]["mean"]) == pytest.approx(mean, rel=1e-4)
    assert found["hidden", "ddrm_5", "psnr_difference"]["reference"] == "ddrm_3"
    page = (folder / "comparison.md").read_text()
    assert "coverage (50 %)" in page
    assert len(list((folder / "hidden" / "ddrm_5_std").glob("*.png"))) == 2


def test_calls_are_told_apart(compared: Path) -> None:
    found = {(row["solver"], row["measure"]): row["mean"] for row in figures(compared)}
    assert (found["ddrm_5", "forward_calls"], found["ddrm_5", "backward_calls"]) == ("5", "0")
    assert (found["plug_and_play", "forward_calls"], found["plug_and_play", "backward_calls"]) == ("3", "3")
    assert found["plug_and_play", "evaluations"] == "6"


def test_the_progress_bar_counts_images_of_all_problems(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    given = words(prior, tmp_path / "run", "--data.limit=2")
    infer([word for word in given if not word.startswith("--trainer.enable_progress_bar")])
    out = capsys.readouterr().out
    assert "6/6" in out
    assert "2/2" not in out
