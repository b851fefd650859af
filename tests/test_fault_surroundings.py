"""What lies around a run is not trusted: the working folder, the temporary files, the terminal."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import pytest
from helpers import refusal
from restorations import ROOT
from torch import nn
from trainings import words

from lightning_inv import trusted
from lightning_inv.callbacks.plots import against
from lightning_inv.cli import infer, train
from lightning_inv.command_line import say
from lightning_inv.modules.compiling import VARIABLE, own_cache

pytestmark = pytest.mark.faults
SCORES = {name: {"mean": 1.0, "standard_error": 0.1} for name in ("psnr_of_mean", "evaluations", "seconds")}


@pytest.mark.skipif("deepinv" in sys.modules, reason="what is imported already is not looked for")
@pytest.mark.parametrize("place", ["deepinv.py", "deepinv/__init__.py", "deepinv/physics.py"])
def test_a_stray_deepinv_is_not_trusted(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).touch()
    assert trusted._is_installed("deepinv.physics")
    monkeypatch.syspath_prepend("")
    assert not trusted._is_installed("deepinv.physics")


def test_a_stray_deepinv_is_not_imported(tmp_path: Path) -> None:
    """Configurations may name its classes, be it installed or not; ``-m`` looks into the working folder."""
    (tmp_path / "deepinv.py").write_text("open('mark', 'w')")
    (tmp_path / "operator.yaml").write_text("class_path: deepinv.physics.Blur")
    command = [sys.executable, "-m", "lightning_inv.check", "--operator", "operator.yaml"]
    path = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | path, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"deepinv.physics.Blur" in done.stderr
    assert not (tmp_path / "mark").exists()


def test_a_plot_is_drawn_alike_whatever_matplotlibrc_says() -> None:
    """By text.usetex the program latex is started, with a preamble that may read any file."""
    summaries = {"a": {"solvers": {"p": SCORES}}}
    straight = against("seconds", summaries)
    with mpl.rc_context({"text.usetex": True, "axes.facecolor": "black"}):
        assert against("seconds", summaries).tobytes() == straight.tobytes()


def test_the_name_of_a_problem_is_no_formula() -> None:
    against("seconds", {r"5$ \no $": {"solvers": {"p": SCORES}}})


def test_compiled_code_is_kept_where_others_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch unpickles what lies there; its own choice is a name in /tmp that anyone can foresee."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    kept = []
    monkeypatch.setattr(nn.Module, "compile", lambda *_, **__: kept.append(Path(os.environ[VARIABLE])))
    train(words(tmp_path / "run", "--model.compile=true"))
    assert kept[0].is_relative_to(tmp_path / "caches")
    assert kept[0].stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("taken", ["written by others", "a file"])
def test_a_folder_of_compiled_code_that_others_have_made_is_not_used(
    taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    own_cache()
    usual = Path(os.environ.pop(VARIABLE))
    if taken == "a file":
        usual.rmdir()
        usual.touch()
    else:
        usual.chmod(0o777)
    own_cache()
    found = Path(os.environ[VARIABLE])
    assert found != usual
    assert found.stat().st_mode & 0o777 == 0o700


def test_the_environment_says_where_compiled_code_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "elsewhere")
    own_cache()
    assert os.environ[VARIABLE] == "elsewhere"


def test_a_table_does_not_speak_to_the_terminal(capsys: pytest.CaptureFixture) -> None:
    """Names of images for which a solver has failed stand below it; a record may come from a stranger."""
    say(SimpleNamespace(is_global_zero=True), "é😀:\n\x1b]0;mine\x07\x1b[2J\r")
    assert capsys.readouterr().out == "é😀:\n\\x1b]0;mine\\x07\\x1b[2J\\r\n"


def test_a_name_does_not_speak_to_the_terminal(capsys: pytest.CaptureFixture) -> None:
    told = refusal(infer, ["--data=ImageFolder", "--data.size=8", "--data.root=\x1b[2Jgone"], capsys)
    assert "\x1b" not in told
    assert r"\x1b[2Jgone" in told
