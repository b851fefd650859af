"""What ``python infer.py`` does without a word."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from helpers import refusal

from lightning_inv import cli
from lightning_inv.cli import CONFIGS, infer
from lightning_inv.configuration import read_config

DEMO = CONFIGS / "demo.yaml"
QUIET = ["--trainer.accelerator=cpu", "--trainer.logger=false", "--trainer.enable_progress_bar=false"]


def test_without_a_word_it_is_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(cli, "InferCommandLine", lambda *given, **_: taken.append(given[2]) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        infer([])
    assert taken == [["--config", str(DEMO)]]


def test_the_demo_restores_photographs_in_three_problems(tmp_path: Path) -> None:
    words = ["--data.size=[16,24]", "--data.limit=1", "--data.batch_size=1", f"--folder={tmp_path / 'demo'}"]
    told = infer([f"--config={DEMO}", *words, *QUIET])["problems"]
    assert list(told) == ["inpainting", "super_resolution", "deblurring"]
    for problem in told.values():
        assert set(problem["solvers"]) == {"ddrm", "reddiff", "plug_and_play", "diffpir"}
    assert (tmp_path / "demo" / "comparison.png").stat().st_size > 1000


def test_a_problem_of_a_file_is_that_of_the_file(tmp_path: Path) -> None:
    shutil.copytree(CONFIGS / "solvers", tmp_path / "solvers")
    shutil.copytree(CONFIGS / "problems", tmp_path / "problems")
    own = {"measurement": {"sigma": 0.3}}
    tree = {"model": {"problems": {"one": "problems/photographs/deblurring.yaml", "two": own}}}
    (tmp_path / "several.yaml").write_text(yaml.safe_dump(tree))
    found = read_config(tmp_path / "several.yaml")["model"]["problems"]
    alone = read_config(CONFIGS / "problems" / "photographs" / "deblurring.yaml")["model"]
    assert found == {"one": {key: alone[key] for key in ("measurement", "solvers")}, "two": own}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("data: {}", r"part\.yaml is no problem: it has no model\.measurement\."),
        (None, r"part\.yaml, which .*several\.yaml names, cannot be read"),
    ],
)
def test_a_file_that_is_no_problem_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, expected: str
) -> None:
    if content is not None:
        (tmp_path / "part.yaml").write_text(content)
    (tmp_path / "several.yaml").write_text("model: {problems: {one: part.yaml}}")
    said = refusal(infer, [f"--config={tmp_path / 'several.yaml'}"], capsys)
    assert re.search(expected, " ".join(said.split()))
