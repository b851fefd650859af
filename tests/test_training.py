"""Short trainings on digits: what they give."""

import copy
import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers import tiny_prior
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from trainings import CONFIG, UNET, assert_same_training, checkpoint, trained, words

from lightning_inv.callbacks import PriorFile
from lightning_inv.cli import train
from lightning_inv.data import Digits
from lightning_inv.modules import PriorTraining
from lightning_inv.noise import NoiseStream
from lightning_inv.priors import load_prior, read_provenance


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


@pytest.mark.parametrize("name", ["last", "best"])
def test_checkpoints_are_plain_data(straight: Path, name: str) -> None:
    assert checkpoint(straight, name)["global_step"] in (2, 4, 6)


def test_a_run_leaves_no_other_files(straight: Path) -> None:
    files = {path.relative_to(straight).as_posix() for path in straight.rglob("*") if path.is_file()}
    checkpoints = {f"checkpoints/{name}.ckpt" for name in ("best", "last", "previous")}
    assert files == {"config.yaml", "prior.safetensors", *checkpoints}


def test_the_prior_is_that_of_the_best_checkpoint(straight: Path) -> None:
    best = checkpoint(straight, "best")["state_dict"]
    for name, tensor in load_prior(straight / "prior.safetensors").state_dict().items():
        assert torch.equal(tensor, best[f"means.0.module.{name}"])


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
        self.sanity_checking, self.fast_dev_run, self.is_global_zero = False, False, True
        self.global_step = self.world_size = self.accumulate_grad_batches = 1
        self.datamodule = SimpleNamespace(batch_size=1)
        self.strategy = SimpleNamespace(reduce_boolean_decision=bool, broadcast=bool)
        self.ckpt_path = None


def test_a_validation_without_a_number_is_never_the_best(tmp_path: Path) -> None:
    file, module = PriorFile(str(tmp_path)), SimpleNamespace(averaged=tiny_prior(), start_from=None)
    for loss in (math.nan, 2.0, math.nan, 3.0):
        file.on_validation_end(Validation(loss), module)
    assert read_provenance(tmp_path / "prior.safetensors")["val_loss"] == 2


def test_the_prior_tells_the_images_of_a_step_of_all_ranks(tmp_path: Path) -> None:
    file, module = PriorFile(str(tmp_path)), SimpleNamespace(averaged=tiny_prior(), start_from=None)
    validation = Validation(2.0)
    validation.world_size, validation.accumulate_grad_batches, validation.datamodule.batch_size = 2, 3, 4
    file.on_validation_end(validation, module)
    assert read_provenance(tmp_path / "prior.safetensors")["batch_size"] == 24


def test_a_prior_that_goes_on_remembers_its_best(tmp_path: Path) -> None:
    first, second = PriorFile(str(tmp_path)), PriorFile(str(tmp_path))
    module = SimpleNamespace(averaged=tiny_prior(), start_from=None)
    first.on_validation_end(Validation(2.0), module)
    second.load_state_dict(first.state_dict())
    second.on_validation_end(Validation(3.0), module)
    assert read_provenance(tmp_path / "prior.safetensors")["val_loss"] == 2


def test_a_training_in_a_new_folder_has_a_prior_there_though_one_before_was_better(tmp_path: Path) -> None:
    file, module = PriorFile(str(tmp_path)), SimpleNamespace(averaged=tiny_prior(), start_from=None)
    file.load_state_dict({"best": 1.0, "start_from": None})
    validation = Validation(2.0)
    file.on_fit_start(validation, module)
    file.on_validation_end(validation, module)
    assert read_provenance(tmp_path / "prior.safetensors")["val_loss"] == 2


def test_without_a_validation_the_prior_is_the_last(tmp_path: Path) -> None:
    train(words(tmp_path / "run", "--trainer.val_check_interval", "100", "--trainer.max_steps", "2"))
    last = checkpoint(tmp_path / "run")["state_dict"]
    for name, tensor in load_prior(tmp_path / "run" / "prior.safetensors").state_dict().items():
        assert torch.equal(tensor, last[f"means.0.module.{name}"])


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
    assert checkpoint(tmp_path / "run")["state_dict"]["means.0.n_averaged"] == 3


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


@pytest.mark.parametrize("number", [5, 1439 + 5])
def test_times_and_noise_follow_from_the_number_of_an_image(number: int) -> None:
    """Not from its index, by which they would be the same in each pass."""
    module, met = PriorTraining(tiny_prior()), []
    module.trainer = trainer = SimpleNamespace(strategy=SimpleNamespace(reduce=lambda x, reduce_op: x))
    module.log = lambda *_, **__: None
    module.denoiser.loss = lambda x, t, eps, label: met.append((t, eps)) or eps.sum()
    item = {"image": torch.zeros(1, 1, 8, 8), "index": torch.tensor([5]), "number": torch.tensor([number])}
    module.training_step(item, 0)
    stream = NoiseStream.of(0, [number], "train")
    assert torch.equal(met[0][0], 1 + (stream.uniform() * 1000).long())
    assert torch.equal(met[0][1], stream.normal((1, 8, 8)))
    assert trainer  # held until here: the module does not


@pytest.mark.parametrize("on", [False, True])
def test_activations_of_the_trained_network_are_checkpointed_as_asked(on: bool) -> None:
    assert PriorTraining(tiny_prior(), checkpoint_activations=on).denoiser.network.checkpointed is on


def test_the_memory_format_changes_nothing_but_rounding(straight: Path, tmp_path: Path) -> None:
    train(words(tmp_path / "run", "--model.channels_last", "false"))
    expected, found = (load_prior(f / "prior.safetensors").state_dict() for f in (straight, tmp_path / "run"))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
