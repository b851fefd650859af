"""An interruption of a training changes nothing."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from helpers import refusal
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from trainings import assert_same_training, checkpoint, words

from lightning_inv.callbacks import Checkpoints
from lightning_inv.callbacks.places import check_no_other
from lightning_inv.cli import train
from lightning_inv.modules import PriorTraining
from lightning_inv.priors import read_provenance

pytestmark = pytest.mark.faults


class Terminator(Callback):
    """Asks this process to end, as a cluster does, once so many steps are done."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.steps:
            os.kill(os.getpid(), signal.SIGTERM)


class Abort(Callback):
    """Stops this process as a power cut does: nobody has a chance to save."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.steps:
            trainer.callbacks.clear()
            raise KeyError


def test_the_same_training_twice_gives_the_same_weights(straight: Path, tmp_path: Path) -> None:
    train(words(tmp_path / "run"))
    assert_same_training(tmp_path / "run", straight)


def test_another_seed_gives_other_weights(straight: Path, tmp_path: Path) -> None:
    train(words(tmp_path / "run", "--seed_everything", "1"))
    with pytest.raises(AssertionError):
        assert_same_training(tmp_path / "run", straight)


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_a_training_that_goes_on_equals_the_straight_one(straight: Path, tmp_path: Path, steps: int) -> None:
    train(words(tmp_path / "run", "--trainer.max_steps", str(steps)))
    train(words(tmp_path / "run", "--ckpt_path", "last"))
    assert_same_training(tmp_path / "run", straight)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_interrupted_within_a_pass_and_at_its_end_equals_the_straight_one(
    straight: Path, tmp_path: Path, workers: int
) -> None:
    for steps in (1, 4, 6):
        more = [f"--data.num_workers={workers}", f"--trainer.max_steps={steps}", "--ckpt_path=auto"]
        train(words(tmp_path / "run", *more))
    assert_same_training(tmp_path / "run", straight)


def test_a_training_with_accumulation_that_goes_on_equals_the_straight_one(tmp_path: Path) -> None:
    accumulate = ["--trainer.accumulate_grad_batches", "2"]
    train(words(tmp_path / "straight", *accumulate))
    train(words(tmp_path / "run", *accumulate, "--trainer.max_steps", "3"))
    train(words(tmp_path / "run", *accumulate, "--ckpt_path", "last"))
    assert_same_training(tmp_path / "run", tmp_path / "straight")


@pytest.mark.parametrize("length", [0, 50, -1])
def test_a_newest_checkpoint_that_is_cut_off_gives_way_to_the_one_before(
    straight: Path, tmp_path: Path, length: int
) -> None:
    train(words(tmp_path / "run", "--trainer.max_steps", "4", "--checkpoint.last_every", "3"))
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert [checkpoint(tmp_path / "run", name)["global_step"] for name in ("last", "previous")] == [4, 3]
    last.write_bytes(last.read_bytes()[:length])
    with pytest.warns(
        UserWarning, match=r"last\.ckpt cannot be read, it is cut off or damaged; .*previous\.ckpt"
    ):
        train(words(tmp_path / "run", "--ckpt_path", "last"))
    assert_same_training(tmp_path / "run", straight)


def test_where_no_checkpoint_is_whole_all_are_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train(words(tmp_path / "run", "--trainer.max_steps", "2"))
    for name in ("last", "previous"):
        (tmp_path / "run" / "checkpoints" / f"{name}.ckpt").write_bytes(b"half")
    said = refusal(train, words(tmp_path / "run", "--ckpt_path", "auto"), capsys)
    assert "last.ckpt and " in said
    assert "previous.ckpt cannot be read: cut off or damaged" in said


def test_auto_begins_where_there_is_nothing_to_go_on_with_and_else_goes_on(
    straight: Path, tmp_path: Path
) -> None:
    train(words(tmp_path / "run", "--ckpt_path", "auto", "--trainer.max_steps", "3"))
    assert checkpoint(tmp_path / "run")["global_step"] == 3
    train(words(tmp_path / "run", "--ckpt_path", "auto"))
    assert_same_training(tmp_path / "run", straight)


def test_accumulation_that_does_not_divide_a_pass_goes_on(tmp_path: Path) -> None:
    accumulate = ["--trainer.accumulate_grad_batches", "3", "--trainer.max_epochs", "9"]
    assert train(words(tmp_path / "run", *accumulate)).trainer.global_step == 6


def test_a_training_that_is_terminated_ends_with_143_and_goes_on(straight: Path, tmp_path: Path) -> None:
    kill = ["--trainer.callbacks", f"{__name__}.Terminator", "--trainer.callbacks.steps", "3"]
    with pytest.raises(SystemExit) as caught:
        train(words(tmp_path / "run", *kill))
    assert caught.value.code == 143
    assert checkpoint(tmp_path / "run")["global_step"] == 3
    train(words(tmp_path / "run", "--ckpt_path", "last"))
    assert_same_training(tmp_path / "run", straight)


class Failure(Callback):
    """Fails once so many steps are done, as a file that cannot be read does."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.steps:
            raise KeyError


def test_a_training_that_fails_goes_on_from_its_last_step(straight: Path, tmp_path: Path) -> None:
    fail = ["--trainer.callbacks", f"{__name__}.Failure", "--trainer.callbacks.steps", "3"]
    with pytest.raises(KeyError):
        train(words(tmp_path / "run", *fail))
    assert checkpoint(tmp_path / "run")["global_step"] == 3
    train(words(tmp_path / "run", "--ckpt_path", "last"))
    assert_same_training(tmp_path / "run", straight)


class Worse(Callback):
    """Logs what is worse at every validation than at the one before."""

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        pl_module.log("worse", float(trainer.global_step))


def test_the_last_checkpoint_is_the_last_though_the_best_is_an_old_one(tmp_path: Path) -> None:
    worse = ["--trainer.callbacks", f"{__name__}.Worse", "--checkpoint.monitor", "worse"]
    train(words(tmp_path / "run", *worse))
    steps = {name: checkpoint(tmp_path / "run", name)["global_step"] for name in ("best", "last")}
    assert steps == {"best": 2, "last": 6}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_last_checkpoint_is_renewed_without_a_validation(tmp_path: Path, accumulate: int) -> None:
    few = ["--trainer.val_check_interval", "100", "--checkpoint.last_every", "2"]
    stop = ["--trainer.callbacks", f"{__name__}.Abort", "--trainer.callbacks.steps", "5"]
    many = ["--trainer.accumulate_grad_batches", str(accumulate)]
    with pytest.raises(KeyError):
        train(words(tmp_path / "run", *few, *stop, *many))
    assert checkpoint(tmp_path / "run")["global_step"] == 4


def test_a_checkpoint_is_written_once_for_each_step_though_steps_have_several_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, steps = Checkpoints._save_last, []

    def note(checkpoints: Checkpoints, trainer: Trainer) -> None:
        steps.append(trainer.global_step)
        save(checkpoints, trainer)

    monkeypatch.setattr(Checkpoints, "_save_last", note)
    few = ["--trainer.val_check_interval", "100", "--checkpoint.last_every", "2"]
    train(words(tmp_path / "run", *few, "--trainer.accumulate_grad_batches", "2"))
    assert steps[:3] == [2, 4, 6]


def test_a_folder_that_holds_a_run_is_refused(straight: Path, capsys: pytest.CaptureFixture) -> None:
    before = {path: path.stat().st_mtime_ns for path in straight.rglob("*") if path.is_file()}
    said = refusal(train, words(straight), capsys)
    assert f"{straight} already holds a run; give --folder another name, or --ckpt_path last" in said
    assert "did you mean" not in said
    assert before == {path: path.stat().st_mtime_ns for path in straight.rglob("*") if path.is_file()}


def test_a_training_that_was_refused_leaves_its_folder_free(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    refusal(train, words(tmp_path / "run", "--data.batch_size", "5000"), capsys)
    train(words(tmp_path / "run", "--trainer.max_steps", "1"))
    assert checkpoint(tmp_path / "run")["global_step"] == 1


def test_steps_after_the_last_validation_are_in_the_prior(tmp_path: Path) -> None:
    train(words(tmp_path / "run", "--trainer.max_steps", "5", "--samples.count", "1", "--samples.steps", "1"))
    assert read_provenance(tmp_path / "run" / "prior.safetensors")["steps"] in (2, 4, 5)  # whichever is best
    assert checkpoint(tmp_path / "run")["callbacks"]["PriorFile"]["best"] is not None
    train(words(tmp_path / "few", "--trainer.max_steps", "1", "--samples.count", "1", "--samples.steps", "1"))
    assert read_provenance(tmp_path / "few" / "prior.safetensors")["steps"] == 1
    assert (tmp_path / "few" / "samples.png").exists()


def test_a_run_that_is_not_there_cannot_go_on(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    said = refusal(train, words(tmp_path / "run", "--ckpt_path", "last"), capsys)
    assert f"there is no run to go on with in {tmp_path / 'run'}" in said


def test_a_run_is_not_written_over_by_another_that_goes_on(
    straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    train(words(tmp_path / "run", "--trainer.max_steps", "1"))
    other = str(straight / "checkpoints" / "last.ckpt")
    said = refusal(train, words(tmp_path / "run", "--ckpt_path", other), capsys)
    assert f"{tmp_path / 'run'} already holds a run" in said
    train(words(tmp_path / "new", "--ckpt_path", other, "--trainer.max_steps", "7"))
    assert checkpoint(tmp_path / "new")["global_step"] == 7


def test_a_run_cannot_go_on_with_another_network_and_keeps_its_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    train(words(tmp_path / "run", "--trainer.max_steps", "1"))
    before = (tmp_path / "run" / "config.yaml").read_text()
    wider = ["--model.denoiser.network.width", "6", "--ckpt_path", "last"]
    said = refusal(train, words(tmp_path / "run", *wider), capsys)
    assert "model.denoiser.network.width is 6 here and 4 there" in said
    assert (tmp_path / "run" / "config.yaml").read_text() == before


def test_a_csv_logger_in_the_folder_of_a_run_loses_no_metrics_where_the_run_goes_on(tmp_path: Path) -> None:
    """Lightning removes the metrics.csv that it finds."""
    run = tmp_path / "run"
    logger = f"{{class_path: CSVLogger, init_args: {{save_dir: {run}, name: '', version: ''}}}}"
    more = [f"--trainer.logger={logger}", "--trainer.log_every_n_steps=1"]
    train(words(run, *more, "--trainer.max_steps=2"))
    first = (run / "metrics.csv").read_text()
    (run / "metrics-1.csv").write_text("of a start before")
    train(words(run, *more, "--trainer.max_steps=3", "--ckpt_path=last"))
    assert (run / "metrics-1.csv").read_text() == "of a start before"
    assert (run / "metrics-2.csv").read_text() == first
    assert (run / "metrics.csv").exists()


def test_a_training_whose_logger_has_a_folder_of_its_own_is_known_as_one(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    logger = f"{{class_path: CSVLogger, init_args: {{save_dir: {run}}}}}"
    train(words(run, f"--trainer.logger={logger}", "--trainer.max_steps=1"))
    assert (run / "config.yaml").exists()
    (run / "config.yaml").unlink()
    with pytest.raises(ValueError, match=r"run holds a training; give --folder another name"):
        check_no_other(run, [])
