"""A training that starts from a prior."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import refusal, tiny_prior
from lightning import Trainer
from trainings import assert_same_training, checkpoint, words

from lightning_inv.cli import train
from lightning_inv.data import Digits
from lightning_inv.denoisers import EpsilonDenoiser, NetworkDenoiser, VelocityDenoiser
from lightning_inv.modules import PriorTraining
from lightning_inv.networks import TinyNetwork, ZeroNetwork
from lightning_inv.priors import load_prior, read_provenance, save_prior
from lightning_inv.schedules import CosineSchedule, LinearSchedule


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A prior of 8 x 8 digits whose weights no constructor makes."""
    prior = tiny_prior()
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_prior(tmp_path / "start.safetensors", prior, {})
    return str(tmp_path / "start.safetensors")


def loss_of(module: PriorTraining, folder: Path) -> float:
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    return trainer.validate(module, Digits(batch_size=179), verbose=False)[0]["val/loss"]


@pytest.mark.parametrize("means", [{}, {"ema_half_lives": [1.0, 9.0]}], ids=["one mean", "two means"])
def test_the_first_validation_is_that_of_the_prior(file: str, tmp_path: Path, means: dict[str, Any]) -> None:
    prior = PriorTraining(load_prior(file), noise_levels=2)
    tuned = PriorTraining(tiny_prior(), noise_levels=2, start_from=file, **means)
    assert loss_of(tuned, tmp_path) == loss_of(prior, tmp_path)


def test_training_begins_with_the_weights_of_the_prior(file: str, tmp_path: Path) -> None:
    still = ["--model.optimizer.lr=0", "--model.optimizer.weight_decay=0", "--trainer.max_steps=2"]
    train(words(tmp_path / "run", f"--model.start_from={file}", *still))
    found = checkpoint(tmp_path / "run")["state_dict"]
    for name, tensor in load_prior(file).state_dict().items():
        assert torch.equal(found[f"denoiser.{name}"], tensor)


def test_the_prior_tells_what_it_started_from(file: str, tmp_path: Path) -> None:
    train(words(tmp_path / "run", f"--model.start_from={file}", "--trainer.max_steps=2"))
    assert read_provenance(tmp_path / "run" / "prior.safetensors")["start_from"] == file


@pytest.mark.parametrize("more", [[], ["--model.start_from=another"]], ids=["not told again", "another"])
def test_a_prior_of_a_run_that_went_on_tells_what_it_started_from(
    file: str, tmp_path: Path, more: list[str]
) -> None:
    train(words(tmp_path / "run", f"--model.start_from={file}", "--trainer.max_steps=2"))
    (tmp_path / "run" / "prior.safetensors").unlink()
    train(words(tmp_path / "run", "--ckpt_path=last", "--trainer.max_steps=20", *more))
    assert read_provenance(tmp_path / "run" / "prior.safetensors")["start_from"] == file


def test_a_run_that_goes_on_does_not_start_again(file: str, tmp_path: Path) -> None:
    start = f"--model.start_from={file}"
    train(words(tmp_path / "straight", start))
    train(words(tmp_path / "run", start, "--trainer.max_steps=3"))
    Path(file).unlink()
    train(words(tmp_path / "run", start, "--ckpt_path=last"))
    assert_same_training(tmp_path / "run", tmp_path / "straight")


def test_a_module_that_was_trained_keeps_its_weights(file: str, tmp_path: Path) -> None:
    module = train(words(tmp_path / "run", f"--model.start_from={file}")).model
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    loss_of(module, tmp_path)
    torch.testing.assert_close(module.state_dict(), before, atol=0, rtol=0)


def test_images_may_have_another_size(file: str, tmp_path: Path) -> None:
    module = PriorTraining(tiny_prior((1, None, None)), noise_levels=2, start_from=file)
    assert loss_of(module, tmp_path) == loss_of(
        PriorTraining(tiny_prior(), noise_levels=2, start_from=file), tmp_path
    )


@pytest.mark.parametrize(
    ("denoiser", "message"),
    [
        (VelocityDenoiser(TinyNetwork(width=4), (1, 8, 8)), "model.denoiser is .*Velocity.* and .*Epsilon"),
        (
            EpsilonDenoiser(ZeroNetwork(), (1, 8, 8)),
            "model.denoiser.network is .*ZeroNetwork here and .*Tiny",
        ),
        (EpsilonDenoiser(TinyNetwork(width=6), (1, 8, 8)), "model.denoiser.network.width is 6 here and 4 in"),
        (tiny_prior(schedule=CosineSchedule()), "model.denoiser.schedule is .*Cosine.* and .*LinearSchedule"),
        (tiny_prior(schedule=LinearSchedule(100)), "model.denoiser.schedule.T is 100 here and 1000 in"),
    ],
)
def test_the_first_difference_is_named(
    file: str, tmp_path: Path, denoiser: NetworkDenoiser, message: str
) -> None:
    with pytest.raises(ValueError, match=f"a prior of the same kind, but {message}"):
        loss_of(PriorTraining(denoiser, noise_levels=2, start_from=file), tmp_path)


def test_no_schedule_is_the_linear_one(file: str, tmp_path: Path) -> None:
    loss_of(PriorTraining(tiny_prior(schedule=LinearSchedule()), noise_levels=2, start_from=file), tmp_path)


def test_a_prior_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    said = refusal(train, words(tmp_path / "run", "--model.start_from=nowhere"), capsys)
    assert "no prior at nowhere" in said
