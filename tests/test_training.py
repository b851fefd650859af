"""Short trainings on digits: what they give, and that an interruption changes nothing."""

import copy
import math
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers import refusal, tiny_prior
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from lightning_inv.callbacks import AtomicCheckpointIO, PriorFile
from lightning_inv.cli import train
from lightning_inv.data import Digits
from lightning_inv.modules import PriorTraining, WarmupCosine
from lightning_inv.priors import load_prior, read_provenance

CONFIG = """
model:
  denoiser:
    class_path: EpsilonDenoiser
    init_args:
      shape: [1, 8, 8]
      network: {class_path: TinyNetwork, init_args: {width: 4}}
  optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 0.01}}
  lr_scheduler: {class_path: WarmupCosine, init_args: {steps: 10, warmup: 2}}
  noise_levels: 2
data:
  class_path: Digits
  init_args: {batch_size: 300, flip: true}
samples: {count: 0}
trainer:
  accelerator: cpu
  logger: false
  max_steps: 6
  val_check_interval: 2
  check_val_every_n_epoch: null
  enable_progress_bar: false
  enable_model_summary: false
"""
UNET = """
model:
  denoiser:
    init_args:
      network:
        class_path: UNet
        init_args: {image_size: 8, model_channels: 8, channel_mult: [1], num_res_blocks: 1,
          attention_resolutions: [], num_heads: 2, norm_groups: 4, num_classes: 10}
"""


class Recorder(Callback):
    """Keeps the weights of every step and the mean weights of every validation."""

    def __init__(self) -> None:
        self.weights: list[dict[str, Tensor]] = []
        self.means: list[dict[str, Tensor]] = []
        self.losses: list[float] = []
        self.validated: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: PriorTraining, *_: Any) -> None:
        self.weights.append(copy.deepcopy(pl_module.denoiser.state_dict()))
        self.means.append(copy.deepcopy(pl_module.averaged.state_dict()))

    def on_validation_end(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        self.losses.append(trainer.callback_metrics["val/loss"].item())
        self.validated.append(copy.deepcopy(pl_module.averaged.state_dict()))


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


def words(folder: Path, *more: str) -> list[str]:
    """The arguments of a short training into ``folder``."""
    config = folder.parent / "config.yaml"
    config.write_text(CONFIG)
    return ["--config", str(config), "--folder", str(folder), *more]


def checkpoint(folder: Path, name: str = "last") -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def assert_same_training(one: Path, other: Path) -> None:
    """Weights, running mean and optimizer of the last checkpoints are bitwise the same."""
    first, second = checkpoint(one), checkpoint(other)
    assert first["global_step"] == second["global_step"]
    torch.testing.assert_close(first["state_dict"], second["state_dict"], atol=0, rtol=0)
    for state in zip(first["optimizer_states"], second["optimizer_states"], strict=True):
        torch.testing.assert_close(state[0]["state"], state[1]["state"], atol=0, rtol=0)
    assert first["lr_schedulers"] == second["lr_schedulers"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of six steps without an interruption, four steps a pass."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    train(words(folder))
    return folder


def trained(callbacks: list[Callback], folder: Path, steps: int = 3, **settings: Any) -> PriorTraining:
    """A few steps without the command line."""
    torch.manual_seed(0)
    module = PriorTraining(tiny_prior(), **settings)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        max_steps=steps,
        callbacks=callbacks,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        val_check_interval=1,
        check_val_every_n_epoch=None,
        default_root_dir=folder,
        plugins=[AtomicCheckpointIO()],
    )
    trainer.fit(module, Digits(batch_size=300))
    return module


# Interruptions


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


def test_a_training_with_accumulation_that_goes_on_equals_the_straight_one(tmp_path: Path) -> None:
    accumulate = ["--trainer.accumulate_grad_batches", "2"]
    train(words(tmp_path / "straight", *accumulate))
    train(words(tmp_path / "run", *accumulate, "--trainer.max_steps", "3"))
    train(words(tmp_path / "run", *accumulate, "--ckpt_path", "last"))
    assert_same_training(tmp_path / "run", tmp_path / "straight")


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


# What a training leaves behind


@pytest.mark.parametrize("name", ["last", "best"])
def test_checkpoints_are_plain_data(straight: Path, name: str) -> None:
    assert checkpoint(straight, name)["global_step"] in (2, 4, 6)


def test_a_run_leaves_no_other_files(straight: Path) -> None:
    files = {path.relative_to(straight).as_posix() for path in straight.rglob("*") if path.is_file()}
    assert files == {"config.yaml", "prior.safetensors", "checkpoints/best.ckpt", "checkpoints/last.ckpt"}


def test_the_prior_is_that_of_the_best_checkpoint(straight: Path) -> None:
    best = checkpoint(straight, "best")["state_dict"]
    for name, tensor in load_prior(straight / "prior.safetensors").state_dict().items():
        assert torch.equal(tensor, best[f"ema.module.{name}"])


def test_the_prior_tells_where_it_comes_from(straight: Path) -> None:
    told = read_provenance(straight / "prior.safetensors")
    assert told["data"] == "Digits"
    assert told["steps"] == checkpoint(straight, "best")["global_step"]
    assert told["batch_size"] == 300
    assert math.isfinite(told["val_loss"])


def test_the_saved_configuration_gives_the_same_training(straight: Path, tmp_path: Path) -> None:
    train(["--config", str(straight / "config.yaml"), "--folder", str(tmp_path / "run")])
    assert_same_training(tmp_path / "run", straight)


def test_the_prior_is_that_of_the_best_validation(tmp_path: Path) -> None:
    recorder, descent = Recorder(), partial(torch.optim.SGD, lr=2.0)  # so fast that the loss grows again
    trained([recorder, PriorFile(str(tmp_path))], tmp_path, 4, optimizer=descent, ema_decay=0.0)
    best = min(range(4), key=lambda i: recorder.losses[i])
    assert best < 3
    loaded = load_prior(tmp_path / "prior.safetensors").state_dict()
    torch.testing.assert_close(loaded, recorder.validated[best], atol=0, rtol=0)


class Validation:
    """A training that was just validated, as ``PriorFile`` sees it."""

    def __init__(self, loss: float) -> None:
        self.callback_metrics = {"val/loss": torch.tensor(loss)}
        self.sanity_checking, self.is_global_zero = False, True
        self.global_step = self.world_size = self.accumulate_grad_batches = 1
        self.datamodule = SimpleNamespace(batch_size=1)


def test_a_validation_without_a_number_is_never_the_best(tmp_path: Path) -> None:
    file, module = PriorFile(str(tmp_path)), SimpleNamespace(averaged=tiny_prior())
    for loss in (math.nan, 2.0, math.nan, 3.0):
        file.on_validation_end(Validation(loss), module)
    assert read_provenance(tmp_path / "prior.safetensors")["val_loss"] == 2


def test_a_prior_that_goes_on_remembers_its_best(tmp_path: Path) -> None:
    first, second = PriorFile(str(tmp_path)), PriorFile(str(tmp_path))
    module = SimpleNamespace(averaged=tiny_prior())
    first.on_validation_end(Validation(2.0), module)
    second.load_state_dict(first.state_dict())
    second.on_validation_end(Validation(3.0), module)
    assert read_provenance(tmp_path / "prior.safetensors")["val_loss"] == 2


def test_without_a_validation_the_prior_is_the_last(tmp_path: Path) -> None:
    train(words(tmp_path / "run", "--trainer.val_check_interval", "100", "--trainer.max_steps", "2"))
    last = checkpoint(tmp_path / "run")["state_dict"]
    for name, tensor in load_prior(tmp_path / "run" / "prior.safetensors").state_dict().items():
        assert torch.equal(tensor, last[f"ema.module.{name}"])


def test_samples_are_drawn_after_a_validation(tmp_path: Path) -> None:
    train(words(tmp_path / "run", "--samples.count", "3", "--samples.steps", "2", "--trainer.max_steps", "2"))
    assert (tmp_path / "run" / "samples.png").is_file()


def test_tensorboard_is_told_what_there_is_to_see(tmp_path: Path) -> None:
    config = tmp_path / "logged.yaml"
    config.write_text(CONFIG.replace("  logger: false\n", "").replace("count: 0", "count: 3, steps: 2"))
    flags = ["--trainer.log_every_n_steps=1", "--trainer.max_steps=2"]
    train(["--config", str(config), "--folder", str(tmp_path / "run"), *flags])
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    seen = set(events.Tags()["scalars"])
    assert {"train/loss", "val/loss", "val_by_time/0251", "val_by_time/0751", "images/s"} <= seen
    assert any(tag.startswith("lr-") for tag in seen)
    assert events.Tags()["images"] == ["samples"]


# The running mean


@pytest.mark.parametrize(("decay", "rates"), [(0.999, [2 / 11, 3 / 12]), (0.2, [2 / 11, 0.2])])
def test_the_running_mean_follows_its_formula(tmp_path: Path, decay: float, rates: list[float]) -> None:
    recorder = Recorder()
    trained([recorder], tmp_path, 3, ema_decay=decay)
    for name, expected in recorder.weights[0].items():
        torch.testing.assert_close(recorder.means[0][name], expected, atol=0, rtol=0)
        for i, rate in enumerate(rates, 1):
            expected = rate * expected + (1 - rate) * recorder.weights[i][name]
            torch.testing.assert_close(recorder.means[i][name], expected)


def test_the_running_mean_moves_once_a_step_when_gradients_are_accumulated(tmp_path: Path) -> None:
    train(words(tmp_path / "run", "--trainer.accumulate_grad_batches", "2", "--trainer.max_steps", "3"))
    assert checkpoint(tmp_path / "run")["state_dict"]["ema.n_averaged"] == 3


# Losses


def test_the_loss_of_validation_is_told_for_each_noise_level(tmp_path: Path) -> None:
    metrics = train(words(tmp_path / "run", "--trainer.max_steps", "2")).trainer.callback_metrics
    levels = {name: value for name, value in metrics.items() if name.startswith("val_by_time/")}
    assert set(levels) == {"val_by_time/0251", "val_by_time/0751"}
    torch.testing.assert_close(torch.stack(list(levels.values())).mean(), metrics["val/loss"])


@pytest.mark.parametrize("batch_size", [1, 50])
def test_the_loss_of_validation_does_not_depend_on_the_batch_size(batch_size: int, tmp_path: Path) -> None:
    module = PriorTraining(tiny_prior(), noise_levels=2)
    losses = [validation_loss(module, Digits(batch_size=size), tmp_path) for size in (179, batch_size)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def validation_loss(module: PriorTraining, data: Digits, folder: Path) -> float:
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    return trainer.validate(module, data, verbose=False)[0]["val/loss"]


def test_training_lowers_the_loss_of_validation(straight: Path, tmp_path: Path) -> None:
    untrained = PriorTraining(tiny_prior(), noise_levels=2)
    before = validation_loss(untrained, Digits(batch_size=179), tmp_path)
    assert read_provenance(straight / "prior.safetensors")["val_loss"] < before


def test_a_network_that_knows_classes_is_trained_on_them(tmp_path: Path) -> None:
    (tmp_path / "unet.yaml").write_text(UNET)
    network = ["--config", str(tmp_path / "unet.yaml"), "--trainer.max_steps", "2"]
    samples = ["--samples.count", "3", "--samples.steps", "2"]
    train(words(tmp_path / "run", *network, *samples, "--data.batch_size", "20"))
    prior = load_prior(tmp_path / "run" / "prior.safetensors")
    assert prior.network.num_classes == 10
    assert (tmp_path / "run" / "samples.png").is_file()


def test_the_memory_format_changes_nothing_but_rounding(straight: Path, tmp_path: Path) -> None:
    train(words(tmp_path / "run", "--model.channels_last", "false"))
    expected, found = (load_prior(f / "prior.safetensors").state_dict() for f in (straight, tmp_path / "run"))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


# What goes wrong


def test_a_loss_without_a_number_stops_before_the_weights_are_lost(tmp_path: Path) -> None:
    descent = partial(torch.optim.SGD, lr=1e30)
    keep = ModelCheckpoint(tmp_path, save_last=True, save_on_exception=True)
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) at step \d; .* Lower the learning"):
        trained([keep, PriorFile(str(tmp_path))], tmp_path, 6, optimizer=descent)
    weights = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert all(tensor.isfinite().all() for tensor in weights.values())


class Overflow(Callback):
    """Makes one number of the second gradient infinite."""

    def on_after_backward(self, trainer: Trainer, pl_module: PriorTraining) -> None:
        if trainer.global_step == 1:
            next(pl_module.denoiser.parameters()).grad.view(-1)[0] = math.inf


def test_an_infinite_gradient_of_a_finite_loss_stops_before_the_weights_are_lost(tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path, save_last=True, save_on_exception=True)
    with pytest.raises(FloatingPointError, match="the gradient is not finite at step 1"):
        trained([keep, PriorFile(str(tmp_path)), Overflow()], tmp_path, 3)
    weights = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_loss_without_a_number_is_told_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    said = refusal(train, words(tmp_path / "run", "--model.optimizer.lr", "1e30"), capsys)
    assert "Lower the learning rate" in said


def test_images_of_another_shape_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    said = refusal(train, words(tmp_path / "run", "--model.denoiser.shape", "[1, 16, 16]"), capsys)
    assert "the images have shape (1, 8, 8) (C, H, W), but model.denoiser.shape is (1, 16, 16)." in said


def test_no_images_to_train_on_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images" / "a.png")
    data = ["--data", "ImageFolder", "--data.root", str(tmp_path / "images"), "--data.size", "8"]
    more = ["--data.channels", "1", "--data.val_fraction", "0.999999", "--data.split", "all"]
    said = refusal(train, words(tmp_path / "run", *data, *more), capsys)
    assert "ImageFolder has no images to train on." in said


def test_classes_that_the_images_do_not_have_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "images").mkdir()
    for i in range(4):
        write_image(tmp_path / "images" / f"{i}.png")
    (tmp_path / "unet.yaml").write_text(UNET)
    data = ["--data", "ImageFolder", "--data.root", str(tmp_path / "images"), "--data.size", "8"]
    more = ["--data.channels", "1", "--data.val_fraction", "0", "--data.batch_size", "2"]
    network = ["--config", str(tmp_path / "unet.yaml")]
    said = refusal(train, words(tmp_path / "run", *data, *more, *network), capsys)
    assert "ImageFolder has no labels, but the network has num_classes=10." in said


def write_image(path: Path) -> None:
    Image.new("L", (8, 8), 100).save(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\), got 1.0"),
        ({"ema_decay": -0.1}, r"ema_decay must be in \[0, 1\), got -0.1"),
        ({"noise_levels": 0}, r"noise_levels must be in \[1, 1000\], got 0"),
        ({"noise_levels": 1001}, r"noise_levels must be in \[1, 1000\], got 1001"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PriorTraining(tiny_prior(), **settings)


@pytest.mark.parametrize("length", [0, 50, -1])
def test_a_checkpoint_that_is_truncated_is_named(
    straight: Path, tmp_path: Path, length: int, capsys: pytest.CaptureFixture
) -> None:
    data = (straight / "checkpoints" / "last.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(data[:length])
    said = refusal(train, words(tmp_path / "run", "--ckpt_path", str(tmp_path / "cut.ckpt")), capsys)
    assert f"{tmp_path / 'cut.ckpt'} is not a readable checkpoint" in said


class Harm:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("harm",)


def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Harm()}, tmp_path / "harm.ckpt")
    said = refusal(train, words(tmp_path / "run", "--ckpt_path", str(tmp_path / "harm.ckpt")), capsys)
    assert "harm.ckpt is not a readable checkpoint" in said
    assert not (tmp_path / "harm").exists()


# The learning rate


def rates(steps: int, warmup: int, floor: float, count: int) -> Iterator[float]:
    """The learning rates of the first steps, relative to the highest."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = WarmupCosine(optimizer, steps, warmup, floor)
    for _ in range(count):
        yield optimizer.param_groups[0]["lr"] / 2
        optimizer.step()
        schedule.step()


def test_the_learning_rate_grows_linearly_then_falls_along_a_cosine() -> None:
    expected = [
        0.25,
        0.5,
        0.75,
        1.0,
        1.0,
        0.1 + 0.9 * (1 + 0.5**0.5) / 2,
        0.55,
        0.1 + 0.9 * (1 - 0.5**0.5) / 2,
    ]
    assert list(rates(8, 4, 0.1, 8)) == pytest.approx(expected)


def test_the_learning_rate_stays_at_its_floor() -> None:
    assert list(rates(8, 4, 0.1, 12))[8:] == pytest.approx([0.1] * 4)


def test_without_warm_up_the_learning_rate_starts_at_its_highest() -> None:
    assert next(rates(8, 0, 0.1, 1)) == 1


@pytest.mark.parametrize("warmup", [-1, 8, 9])
def test_a_warm_up_as_long_as_the_training_is_refused(warmup: int) -> None:
    with pytest.raises(ValueError, match=rf"warmup must be in \[0, steps=8\), got {warmup}"):
        next(rates(8, warmup, 0.1, 1))
