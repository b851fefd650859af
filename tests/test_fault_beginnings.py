"""Trainings that begin where another one lies, or where they could not be written, spoil nothing."""

import errno
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from helpers import refusal
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from trainings import assert_same_training, checkpoint, words

from lightning_inv.callbacks import Checkpoints, beginning
from lightning_inv.callbacks.checkpoints import newest
from lightning_inv.cli import train
from lightning_inv.modules import PriorTraining

pytestmark = pytest.mark.faults


@pytest.fixture
def run(straight: Path, tmp_path: Path) -> Path:
    """A copy of a training of six steps."""
    return shutil.copytree(straight, tmp_path / "run")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("more", [[], ["--ckpt_path=last"]], ids=["anew", "going on"])
def test_a_trial_does_not_write_over_a_training(
    run: Path, more: list[str], capsys: pytest.CaptureFixture
) -> None:
    before = contents(run)
    said = refusal(train, words(run, "--trainer.fast_dev_run=true", *more), capsys)
    assert f"{run} already holds a run; give trainer.fast_dev_run another --folder." in " ".join(said.split())
    assert contents(run) == before


def score(run: Path) -> tuple[int, float]:
    """The step and the loss of the best checkpoint, as it tells them itself."""
    found = checkpoint(run, "best")
    (state,) = (state for state in found["callbacks"].values() if "best_model_score" in state)
    return found["global_step"], float(state["best_model_score"])


def test_a_training_whose_folder_was_moved_keeps_its_best(run: Path, tmp_path: Path) -> None:
    before, moved = score(run), run.rename(tmp_path / "moved")
    train(
        words(moved, "--ckpt_path=last", "--trainer.max_steps=8", "--trainer.callbacks", f"{__name__}.Spoil")
    )
    assert checkpoint(moved)["global_step"] == 8
    assert score(moved) == before


class Spoil(Callback):
    """Makes the weights worse than they were, in every step."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: PriorTraining, *_: Any) -> None:
        for weights in pl_module.parameters():
            weights.data.mul_(2)


def test_a_training_that_goes_on_in_another_folder_has_a_best_of_its_own(run: Path, tmp_path: Path) -> None:
    """And names no file of the folder that it comes from."""
    begun = str(run / "checkpoints" / "last.ckpt")
    spoil = ["--trainer.callbacks", f"{__name__}.Spoil"]
    train(words(tmp_path / "new", "--ckpt_path", begun, "--trainer.max_steps=8", *spoil))
    assert score(tmp_path / "new")[0] == 8
    states = checkpoint(tmp_path / "new")["callbacks"]
    assert str(run) not in str(states)


def test_a_callback_that_begins_anew_is_refused_where_a_training_goes_on(
    run: Path, capsys: pytest.CaptureFixture
) -> None:
    before = contents(run)
    given = with_callback(run, "BatchSizeFinder", "max_trials: 1")
    said = " ".join(refusal(train, [*given, "--ckpt_path=last"], capsys).split())
    assert "BatchSizeFinder begins a training anew; take it out of the configuration to go on" in said
    assert contents(run) == before


def test_a_callback_that_sets_fields_of_the_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    given = with_callback(tmp_path / "run", "LearningRateFinder", "num_training_steps: 8, attr_name: seed")
    assert "LearningRateFinder is not supported" in " ".join(refusal(train, given, capsys).split())
    assert not (tmp_path / "run").exists()


def test_a_schedule_of_accumulation_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    given = with_callback(tmp_path / "run", "GradientAccumulationScheduler", "scheduling: {'0': 1, '1': 2}")
    said = " ".join(refusal(train, given, capsys).split())
    assert "GradientAccumulationScheduler is not supported" in said
    assert "give trainer.accumulate_grad_batches instead" in said
    assert not (tmp_path / "run").exists()


def with_callback(run: Path, name: str, settings: str) -> list[str]:
    """The arguments of a training with a callback of Lightning."""
    more = run.parent / "more.yaml"
    more.write_text(f"trainer: {{callbacks: [{{class_path: {name}, init_args: {{{settings}}}}}]}}")
    return words(run, "--config", str(more))


def test_what_killed_trials_of_settings_left_is_removed_and_nothing_else(run: Path) -> None:
    left = [run / f".{name}_{uuid4()}.ckpt" for name in ("lr_find", "scale_batch_size")]
    kept = [run / ".lr_find_mine.ckpt", run / "lr_find.ckpt", run / f".lr_find_{uuid4()}.ckpt.txt"]
    for path in (*left, *kept):
        path.write_bytes(b"a trial")
    folder, link = (run / f".lr_find_{uuid4()}.ckpt" for _ in range(2))
    folder.mkdir()
    link.symlink_to(kept[0])
    train(words(run, "--ckpt_path=last"))
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in (*kept, folder, link))


FILES = ["prior.safetensors", "samples.png", "quality.json", "config.yaml"]
CHECKPOINTS = [f"checkpoints/{name}.ckpt" for name in ("new", "last", "previous", "best")]


@pytest.mark.parametrize("place", [*FILES, *CHECKPOINTS])
def test_a_folder_in_the_place_of_a_file_is_told_before_any_work(
    run: Path, place: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / place).unlink(missing_ok=True)
    (run / place).mkdir()
    before = contents(run)
    monkeypatch.setattr(Trainer, "fit", lambda *_, **__: pytest.fail("it began"))
    said = " ".join(refusal(train, words(run, "--ckpt_path=last"), capsys).split())
    assert f"{run / place} is in the place of a file that is written here" in said
    assert contents(run) == before


@pytest.mark.parametrize("why", ["a file", "read-only"])
def test_a_folder_of_checkpoints_that_cannot_be_written_to_is_told_before_any_work(
    run: Path, why: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The superuser may write anywhere, so that the system's answer is made up."""
    folder, begun = (
        run / "checkpoints",
        str(shutil.copy(run / "checkpoints" / "last.ckpt", run / "begun.ckpt")),
    )
    if why == "a file":
        shutil.rmtree(folder)
        folder.write_bytes(b"")
    else:
        monkeypatch.setattr(beginning, "NamedTemporaryFile", refuse)
        begun = "last"
    monkeypatch.setattr(Trainer, "fit", lambda *_, **__: pytest.fail("it began"))
    said = " ".join(refusal(train, words(run, "--ckpt_path", begun), capsys).split())
    assert f"nothing can be written to {folder}: " in said


def refuse(dir: Path, **_: Any) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir))


def test_a_link_in_the_place_of_a_checkpoint_is_replaced(run: Path, tmp_path: Path) -> None:
    last, kept = run / "checkpoints" / "last.ckpt", tmp_path / "elsewhere.ckpt"
    last.rename(kept)
    last.symlink_to(kept)
    before = kept.read_bytes()
    train(words(run, "--ckpt_path=last", "--trainer.max_steps=7"))
    assert checkpoint(run)["global_step"] == 7
    assert kept.read_bytes() == before


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_newest_checkpoint_that_the_system_does_not_let_be_read_is_told_and_stays(
    run: Path, number: int, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, last, before = zipfile.ZipFile, run / "checkpoints" / "last.ckpt", contents(run)

    def fails(path: Path, *more: Any) -> zipfile.ZipFile:
        if path == last:
            raise OSError(number, os.strerror(number), str(path))
        return usual(path, *more)

    monkeypatch.setattr(zipfile, "ZipFile", fails)
    said = " ".join(refusal(train, words(run, "--ckpt_path=last", "--trainer.max_steps=9"), capsys).split())
    assert f"{last} cannot be read: {os.strerror(number)}." in said
    assert contents(run) == before


def test_a_folder_that_is_called_as_what_was_being_written_is_passed_over(run: Path) -> None:
    folder = run / "checkpoints" / ".x.part"
    folder.mkdir()
    train(words(run, "--ckpt_path=last", "--trainer.max_steps=7"))
    assert checkpoint(run)["global_step"] == 7
    assert folder.is_dir()


class Killed(BaseException):
    """The end of a process."""


@pytest.mark.parametrize(("target", "step"), [("previous.ckpt", 3), ("last.ckpt", 2)])
def test_a_run_killed_while_its_checkpoint_takes_its_name_goes_on_from_that_checkpoint(
    straight: Path, tmp_path: Path, target: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.replace

    def killed(path: Path, to: Path) -> Path:
        if Path(to).name == target and path.name != target and (path.parent / "previous.ckpt").exists():
            raise Killed
        return rename(path, to)

    run, often = tmp_path / "run", "--checkpoint.last_every=1"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr(Checkpoints, "on_exception", lambda *_: None)
        with pytest.raises(Killed):
            train(words(run, often))
    assert checkpoint(run, "new")["global_step"] == step
    assert newest(run / "checkpoints") == run / "checkpoints" / "new.ckpt"
    train(words(run, often, "--ckpt_path=last"))
    assert_same_training(run, straight)
    assert not (run / "checkpoints" / "new.ckpt").exists()


def test_a_checkpoint_without_its_name_that_is_damaged_gives_way_to_the_newest(run: Path) -> None:
    (run / "checkpoints" / "new.ckpt").write_bytes(b"half")
    with pytest.warns(
        UserWarning, match=r"new\.ckpt cannot be read, it is cut off or damaged; going on from"
    ):
        assert newest(run / "checkpoints") == run / "checkpoints" / "last.ckpt"
