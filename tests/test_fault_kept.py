"""What somebody has, and no run has made, stays: priors, settings, files of other programs."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helpers import refusal
from pictures import flat, write
from restorations import ROOT, arguments
from trainings import words

from lightning_inv.cli import infer, train
from lightning_inv.data.image_files import find_images
from lightning_inv.modules.compiling import VARIABLE
from lightning_inv.priors import read_provenance

pytestmark = pytest.mark.faults


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The folder of a training whose checkpoints somebody has removed, to have the room."""
    train(words(tmp_path / "run", "--trainer.max_steps=1"))
    for file in (tmp_path / "run" / "checkpoints").glob("*"):
        file.unlink()
    return tmp_path / "run"


@pytest.mark.parametrize("more", [[], ["--trainer.fast_dev_run=true"], ["--ckpt_path=last"]], ids=str)
def test_a_prior_without_checkpoints_is_not_replaced(
    more: list[str], trained: Path, capsys: pytest.CaptureFixture
) -> None:
    before = (trained / "prior.safetensors").read_bytes()
    assert "prior.safetensors would be replaced" in refusal(train, words(trained, *more), capsys)
    assert (trained / "prior.safetensors").read_bytes() == before


def test_a_prior_is_kept_under_another_name_where_a_training_begins_by_itself(trained: Path) -> None:
    """A job that is queued again, and was killed before its first checkpoint, must go on."""
    before = (trained / "prior.safetensors").read_bytes()
    train(words(trained, "--ckpt_path=auto", "--trainer.max_steps=1"))
    assert (trained / "prior-1.safetensors").read_bytes() == before
    assert (trained / "prior.safetensors").exists()


def test_a_prior_is_kept_wherever_a_training_that_begins_by_itself_is_started(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trained / "a" / "b").mkdir(parents=True)
    before = (trained / "prior.safetensors").read_bytes()
    arguments = words(trained, "--ckpt_path=auto", "--trainer.max_steps=1")
    monkeypatch.chdir(trained / "a" / "b")
    train(arguments)
    assert (trained / "prior-1.safetensors").read_bytes() == before


@pytest.mark.parametrize("place", ["~/run", "file:///tmp/run", "s3://bucket/run", "memory::run", "data:x"])
@pytest.mark.parametrize("script", [train, infer], ids=["train", "infer"])
def test_a_folder_that_libraries_would_take_for_another_is_refused(
    script: Callable, place: str, tmp_path: Path, prior: Path, capsys: pytest.CaptureFixture
) -> None:
    """Checkpoints would lie in another folder than all else, over those of another training."""
    given = words(tmp_path / "run") if script is train else arguments(prior, tmp_path / "run")
    said = refusal(script, [*given, f"--folder={place}"], capsys)
    assert re.search(f"--folder must be (a path on a disk|written out, such as /).*, got '{place}'", said)


def test_a_best_checkpoint_that_is_left_alone_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Nobody has asked to begin anew: it is what was kept of a training."""
    run = tmp_path / "run"
    train(words(run))
    for name in ("last", "previous"):
        (run / "checkpoints" / f"{name}.ckpt").unlink()
    kept = {
        path: path.read_bytes() for path in (run / "checkpoints" / "best.ckpt", run / "prior.safetensors")
    }
    assert "holds best.ckpt, but none of" in refusal(train, words(run, "--ckpt_path=auto"), capsys)
    assert all(path.read_bytes() == content for path, content in kept.items())


def test_a_training_may_start_from_the_prior_whose_place_it_takes(trained: Path) -> None:
    train(words(trained, "--ckpt_path=auto", f"--model.start_from={trained / 'prior.safetensors'}"))
    assert (trained / "prior-1.safetensors").exists()


def replaced(trained: Path, steps: int, *more: str) -> bytes:
    """The prior that a folder had before a training of so many steps elsewhere goes on there."""
    before, other = (trained / "prior.safetensors").read_bytes(), trained.parent / "other"
    train(words(other, f"--trainer.max_steps={steps}"))
    begun = other / "checkpoints" / "last.ckpt"
    train(words(trained, f"--ckpt_path={begun}", "--trainer.max_steps=4", *more))
    return before


def test_a_training_that_goes_on_from_elsewhere_keeps_a_prior_that_is_there(trained: Path) -> None:
    before = replaced(trained, 1)
    assert before in [path.read_bytes() for path in trained.glob("prior*.safetensors")]


def test_a_prior_of_another_run_does_not_pass_as_that_of_a_training_that_was_never_better(
    trained: Path,
) -> None:
    before = replaced(trained, 2, "--model.optimizer.lr=5.0")
    assert (trained / "prior-1.safetensors").read_bytes() == before
    assert read_provenance(trained / "prior.safetensors")["steps"] == 4


def test_a_trial_of_a_training_leaves_nothing_that_the_training_would_be_refused_for(tmp_path: Path) -> None:
    train(words(tmp_path / "run", "--trainer.fast_dev_run=true"))
    train(words(tmp_path / "run", "--trainer.max_steps=1"))


def test_a_folder_of_other_checkpoints_is_none_of_a_run(
    tmp_path: Path, prior: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "model.pt").touch()
    for name in ("summary.json", "quality.json"):
        (tmp_path / "run" / name).write_text("mine")
    assert "no run has left it" in refusal(train, words(tmp_path / "run"), capsys)
    assert "no run has left it" in refusal(infer, arguments(prior, tmp_path / "run"), capsys)


def test_a_manifest_of_another_program_makes_no_folder_that_of_a_run(
    tmp_path: Path, prior: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "run" / "extension").mkdir(parents=True)
    (tmp_path / "run" / "extension" / "manifest.json").write_text('{"name": "x"}')
    (tmp_path / "run" / "summary.json").write_text("mine")
    assert "no run has left it" in refusal(infer, arguments(prior, tmp_path / "run"), capsys)


def test_a_configuration_above_the_results_is_none_of_a_run(tmp_path: Path, prior: Path) -> None:
    """As after a kill between the manifest and the configuration."""
    (tmp_path / "config.yaml").write_text("data: {class_path: Digits}\n")
    infer(arguments(prior, tmp_path / "run"))
    (tmp_path / "run" / "config.yaml").unlink()
    infer(arguments(prior, tmp_path / "run"))


def test_a_saved_configuration_does_not_clear_results_again(tmp_path: Path, prior: Path) -> None:
    infer(arguments(prior, tmp_path / "run", "--output.overwrite=true"))
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["output"]["overwrite"] is False


def test_a_saved_configuration_does_not_say_what_to_go_on_from(tmp_path: Path) -> None:
    train(words(tmp_path / "run", "--ckpt_path=auto", "--trainer.max_steps=1"))
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["ckpt_path"] is None


@pytest.mark.parametrize("name", ["new", "last", "previous", "./last"])
def test_the_best_checkpoint_has_a_name_of_its_own(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    said = refusal(train, words(tmp_path / "run", f"--checkpoint.filename={name}"), capsys)
    assert f"checkpoint.filename is that of the best, which '{name}' cannot be" in said


def test_images_that_are_left_out_are_told(tmp_path: Path, prior: Path) -> None:
    write(tmp_path / "images" / "a.png", flat("L", (8, 8)))
    infer(arguments(prior, tmp_path / "images" / "run"))
    with pytest.warns(UserWarning, match="1 folders that runs write to, such as '.*run', are left out"):
        assert len(find_images(tmp_path / "images")) == 1


def test_torch_does_not_choose_where_compiled_code_is_kept(tmp_path: Path) -> None:
    """It does so as it is imported, and tells by the environment, as if somebody had said so."""
    code = "import lightning_inv.cli, os\nfrom lightning_inv.modules import compiling\n"
    code += "from torch._inductor.runtime.runtime_utils import cache_dir\ncache_dir()\n"
    code += f"compiling.own_cache(); print(os.environ[{VARIABLE!r}])"
    own = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)}
    kept = {key: value for key, value in os.environ.items() if key != VARIABLE}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=kept | own, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)
