"""What goes wrong in a training is named, and nothing is lost."""

import math
import os
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
from trainings import UNET, trained, words

from lightning_inv.callbacks import PriorFile
from lightning_inv.cli import train
from lightning_inv.modules import PriorTraining

pytestmark = pytest.mark.faults


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


@pytest.mark.faults
def test_labels_beyond_the_classes_are_told_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "unet.yaml").write_text(UNET.replace("num_classes: 10", "num_classes: 5"))
    said = refusal(train, words(tmp_path / "run", "--config", str(tmp_path / "unet.yaml")), capsys)
    told = " ".join(said.split())
    assert "the image 'digit0005' has the label 5, but the prior knows the classes 0 to 4." in told


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


def test_a_part_of_the_images_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    said = refusal(train, words(tmp_path / "run", "--data.shard=0/2"), capsys)
    assert "data.shard is for infer.py; train.py needs all images, got 0/2." in said


def test_a_loss_without_a_number_on_another_rank_stops_this_one() -> None:
    module = PriorTraining(tiny_prior())
    others = SimpleNamespace(reduce=lambda loss, reduce_op: loss * math.nan)
    module.trainer = trainer = SimpleNamespace(strategy=others, global_step=0)
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        module.training_step({"image": torch.zeros(2, 1, 8, 8), "number": torch.arange(2)}, 0)
    assert trainer  # held until here: the module does not
