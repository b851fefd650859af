"""The search of a solver's settings."""

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from helpers import refusal

from lightning_inv.cli import CONFIGS, infer
from lightning_inv.denoisers import GaussianDenoiser
from lightning_inv.metrics import psnr
from lightning_inv.noise import NoiseStream
from lightning_inv.solvers import PlugAndPlay, REDDiff
from lightning_inv.tuning.search import Search, finished, open_study, run_trials
from lightning_inv.tuning.space import Choices, Range, read_space, with_setting

pytest.importorskip("optuna")
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.logger=false"]
SPACE = {"weight": {"low": 0.0, "high": 1.0}}


def search(**settings: Any) -> Search:
    return Search("mine", **{"space": SPACE, "trials": 30, "pruner": "none"} | settings)


def found(what: Search, evaluate: Callable, folder: Path) -> Any:
    study = open_study(what, folder, {})
    run_trials(what, study, evaluate)
    return study


def test_the_best_linear_estimate_is_found(tmp_path: Path) -> None:
    """Of x ~ N(0, v) seen with noise of variance s, v / (v + s) y is best, as its denoiser says too."""
    v, s, shape = 0.04, 0.06, (1, 8, 8)
    x, n = (NoiseStream.of(0, range(200), part).normal(shape) for part in ("x", "n"))
    x, y = v**0.5 * x, v**0.5 * x + s**0.5 * n
    prior = GaussianDenoiser(torch.zeros(shape), v * torch.eye(64))
    alpha, sigma = prior.schedule(torch.arange(1, 1001))
    t = ((sigma / alpha).flatten() ** 2 - s).abs().argmin() + 1
    wiener = float((prior(prior.schedule(t)[0] * y, t).x / y).mean())
    assert wiener == pytest.approx(v / (v + s), abs=0.01)

    def evaluate(values: Mapping[str, float]) -> Iterator[list[float]]:
        for chunk in range(0, 200, 50):
            part = slice(chunk, chunk + 50)
            yield psnr(values["weight"] * y[part], x[part]).tolist()

    assert found(search(), evaluate, tmp_path).best_params["weight"] == pytest.approx(wiener, abs=0.05)


def test_hopeless_trials_end_early(tmp_path: Path) -> None:
    seen = []

    def evaluate(values: Mapping[str, float]) -> Iterator[list[float]]:
        for chunk in range(10):
            seen.append(chunk)
            yield [-abs(values["weight"] - 0.5)]

    study = found(search(pruner="median", startup=3, trials=20), evaluate, tmp_path)
    states = [trial.state.name for trial in study.trials]
    assert states[:3] == ["COMPLETE"] * 3
    assert len(finished(study)) == 20
    assert 3 < states.count("PRUNED") < 17
    assert len(seen) < 150


def test_an_interrupted_search_goes_on(tmp_path: Path) -> None:
    tried = []

    def evaluate(values: Mapping[str, float]) -> Iterator[list[float]]:
        tried.append(values["weight"])
        if len(tried) == 4:
            raise KeyboardInterrupt
        yield [values["weight"]]

    what = search(trials=6)
    with pytest.raises(KeyboardInterrupt):
        found(what, evaluate, tmp_path)
    study = found(what, evaluate, tmp_path)
    assert len(finished(study)) == 6
    assert len(tried) == 7
    assert tried[4] == tried[3]  # that one again
    assert len(set(tried)) == 6
    assert found(what, evaluate, tmp_path).best_value == max(tried)
    assert len(tried) == 7  # nothing was missing


def test_a_trial_that_was_killed_is_tried_again_once(tmp_path: Path) -> None:
    what, tried = search(trials=2), []
    killed = open_study(what, tmp_path, {}).ask()
    weight = killed.suggest_float("weight", 0.0, 1.0)

    def evaluate(values: Mapping[str, float]) -> Iterator[list[float]]:
        tried.append(values["weight"])
        yield [1.0]

    for _ in range(2):
        found(what, evaluate, tmp_path)
    assert tried[0] == weight
    assert len(tried) == 2


def test_a_trial_without_a_number_fails_alone(tmp_path: Path) -> None:
    def evaluate(values: Mapping[str, float]) -> Iterator[list[float | None]]:
        yield [None if values["weight"] > 0.3 else values["weight"]]

    study = found(search(trials=12), evaluate, tmp_path)
    assert study.best_value <= 0.3
    assert {trial.state.name for trial in study.trials} == {"COMPLETE", "FAIL"}
    assert all("no finite number" in t.user_attrs["error"] for t in study.trials if t.state.name == "FAIL")


def test_a_search_of_failures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no trial of 2 was completed. the psnr of an image is no finite"):
        found(search(trials=2), lambda values: iter([[float("nan")]]), tmp_path)


def test_a_folder_of_another_search_is_left_alone(tmp_path: Path) -> None:
    def evaluate(values: Mapping[str, float]) -> Iterator[list[float]]:
        yield [1.0]

    found(search(trials=1), evaluate, tmp_path)
    found(search(trials=2), evaluate, tmp_path)  # more of the same
    with pytest.raises(ValueError, match="holds a search of other settings"):
        found(search(trials=2, seed=7), evaluate, tmp_path)


def test_a_setting_is_found_by_its_path() -> None:
    solver = with_setting(REDDiff(), "plan.init_args.high", 0.5)
    assert (solver.plan.high, solver.plan.low, REDDiff().plan.high) == (0.5, 0.0, 1.0)
    assert with_setting(PlugAndPlay(), "weight", 3.0) == PlugAndPlay(weight=3.0)
    with pytest.raises(ValueError, match="Grid has the settings spacing, high, low; got 'hig'"):
        with_setting(REDDiff(), "plan.hig", 0.5)
    with pytest.raises(ValueError, match=r"REDDiff.lr has no settings of its own, got 'lr.high'"):
        with_setting(REDDiff(), "lr.high", 0.5)


@pytest.mark.parametrize(
    "wrong", [{}, {"a": {"low": 1}}, {"a": {"low": 2, "high": 1}}, {"a": {"choices": [[1]]}}]
)
def test_a_space_that_is_none_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"tune.space"):
        read_space(wrong)


def test_whole_bounds_mean_whole_numbers() -> None:
    space = read_space({"a": {"low": 1, "high": 4}, "b": {"choices": [None, 2]}})
    assert space == {"a": Range(1, 4), "b": Choices([None, 2])}

    class Trial:
        def suggest_int(self, name: str, low: int, high: int, log: bool) -> int:
            return high

    assert space["a"].draw(Trial(), "a") == 4


def words(prior: Path, folder: Path, *more: str) -> list[str]:
    data = ["--data=Digits", "--data.split=val", "--data.batch_size=2", "--data.limit=5"]
    return [f"--model.prior={prior}", f"--folder={folder}", *data, *QUIET, *more]


@pytest.fixture
def config(tmp_path: Path) -> str:
    space = {"lr": {"low": 0.01, "high": 0.3, "log": True}, "plan.init_args.high": {"low": 0.2, "high": 1.0}}
    tree = {
        "tune": {"solver": "mine", "space": space, "trials": 3, "images": 5},
        "model": {"solvers": {"mine": {"class_path": "REDDiff", "init_args": {"steps": 4}}}},
    }
    (tmp_path / "tune.yaml").write_text(yaml.safe_dump(tree))
    return f"--config={tmp_path / 'tune.yaml'}"


def test_the_preset_reproduces_the_score(prior: Path, tmp_path: Path, config: str) -> None:
    best = infer([config, *words(prior, tmp_path / "tune")])
    preset = (tmp_path / "tune" / "preset.yaml").read_text()
    assert f"# measure: psnr {best['best']:.4f} +- " in preset
    assert "# trials: 3 completed, 0 pruned, 0 failed" in preset
    assert "# images: the first 5 of the split 'val' of Digits" in preset
    assert "# sigma: 0.1 for images in [-1, 1], 0.05 for images in [0, 1]" in preset
    with (tmp_path / "tune" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert max(float(row["value"]) for row in rows) == best["best"]
    again = [f"--config={tmp_path / 'tune' / 'preset.yaml'}", *words(prior, tmp_path / "again")]
    summary = infer([*again, "--model.seed=1000", "--data.batch_size=5"])
    assert summary["solvers"]["mine"]["psnr"]["mean"] == pytest.approx(best["best"], abs=1e-4)
    other = infer([*again[:2], f"--folder={tmp_path / 'other'}", *again[3:]])
    assert summary["solvers"]["mine"]["psnr"]["mean"] != other["solvers"]["mine"]["psnr"]["mean"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--data.split=test", "a search must not see test images"),
        ("--tune.seed=0", "tune.seed must differ from model.seed, got 0 for both."),
        ("--tune.solver=yours", "tune.solver must be one of model.solvers, mine; got 'yours'."),
        ("--tune.measure=beauty", "tune.measure must be one of psnr"),
        ("--model.solvers.mine=DDRM", "DDRM has the settings steps, spacing, travel, eta, eta_b; got 'lr'."),
    ],
)
def test_a_search_that_would_not_do_is_refused(
    prior: Path, tmp_path: Path, config: str, more: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refusal(infer, [config, *words(prior, tmp_path / "tune"), more], capsys)
    assert not (tmp_path / "tune" / "preset.yaml").exists()


def test_the_shipped_search_runs(tmp_path: Path) -> None:
    few = ["--tune.trials=2", "--tune.images=2", "--model.solvers.reddiff.steps=1", "--data.batch_size=2"]
    best = infer([f"--config={CONFIGS / 'tune.yaml'}", f"--folder={tmp_path}", *few, *QUIET])
    assert best["measure"] == "psnr"
    assert (tmp_path / "preset.yaml").exists()
