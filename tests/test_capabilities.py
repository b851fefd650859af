"""Which solver serves what, as the solvers themselves say."""

import inspect
from pathlib import Path

import pytest

from lightning_inv import operators
from lightning_inv.capabilities import main, matrices
from lightning_inv.operators import SVDOperator

PAGE = Path(__file__).parents[1] / "docs" / "capabilities.md"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(list(words))
    return capsys.readouterr().out


def test_the_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """After a change: python -m lightning_inv.capabilities --format markdown > docs/capabilities.md."""
    assert told(capsys, "--format", "markdown") == PAGE.read_text(encoding="utf-8")


def test_ddrm_serves_the_operators_that_have_a_decomposition() -> None:
    found, _ = matrices("DDRM")
    served = {name for name, mark in found.rows if mark == "yes"}
    parts = {name: getattr(operators, name) for name in operators.__all__}
    final = {name for name, part in parts.items() if inspect.isclass(part) and not inspect.isabstract(part)}
    assert served == {name for name in final if issubclass(parts[name], SVDOperator)}
    assert found.reasons == ["DDRM needs a linear operator with a singular value decomposition."]


def test_a_solver_is_refused_by_its_noise_alone() -> None:
    _, found = matrices("DDRM")
    assert dict(found.rows)["VaryingNoise"] == "yes"
    assert dict(found.rows)["PoissonNoise"] == "(1)"
    assert found.reasons == ["DDRM needs GaussianNoise or VaryingNoise."]


def test_a_setting_in_the_way_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "--solver", "REDDiff", "--operator", "DeepinvPhysics")
    assert "DeepinvPhysics  (1)" in text
    assert "1. REDDiff.start_from 'pinv' needs an operator with a pseudo-inverse; 'noise' can do" in text
    assert "JPEG" not in text
    assert "DDRM" not in text


def test_each_reason_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    parts = told(capsys).split("noise  ")
    for part in parts:
        reasons = [line.split(". ", 1)[1] for line in part.splitlines() if line[:1].isdigit()]
        assert len(reasons) == len(set(reasons))
