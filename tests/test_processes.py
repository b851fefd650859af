"""Two processes on one machine do what one does."""

import json
import subprocess
import sys
from pathlib import Path

import comparisons
import pytest
import torch
from ranks import KINDS
from restorations import ROOT, arguments, assert_same
from safetensors.torch import load_file
from trainings import CONFIG, assert_same_training, checkpoint

from lightning_inv.callbacks.checkpoint_io import SHARES_ON_CPU
from lightning_inv.cli import infer
from lightning_inv.priors import load_prior

TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]
QUIET = ["--trainer.accelerator=cpu", "--trainer.logger=false", "--trainer.enable_progress_bar=false"]
on_cpus = pytest.mark.skipif(not SHARES_ON_CPU, reason="this torch does not share weights on CPUs")


def run(script: str, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / script), *words, *QUIET, *TWO]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("images", [1, 5], ids=lambda n: f"{n} images")
def test_two_processes_restore_as_one_does(prior: Path, tmp_path: Path, images: int) -> None:
    """With one image, the second process has nothing to do."""
    more = ["--data.batch_size=2", f"--data.limit={images}", "--model.samples=2"]
    infer(arguments(prior, tmp_path / "one", *more))
    done = run("infer.py", *arguments(prior, tmp_path / "two", *more))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("results: ") == 1
    assert_same(tmp_path / "one", tmp_path / "two")


def test_two_processes_compare_as_one_does(prior: Path, tmp_path: Path) -> None:
    """One image of three problems: the ranks take them in turns."""
    infer(comparisons.words(prior, tmp_path / "one", "--data.limit=1"))
    done = run("infer.py", *comparisons.words(prior, tmp_path / "two", "--data.limit=1"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("results: ") == 1
    assert comparisons.figures(tmp_path / "one") == comparisons.figures(tmp_path / "two")
    assert comparisons.steady(tmp_path / "one") == comparisons.steady(tmp_path / "two")


def test_two_processes_train_one_prior_and_go_on_with_it(tmp_path: Path) -> None:
    """Digits hold out images enough for both; the folder of a run is refused by both."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    words = ["--config", str(tmp_path / "config.yaml"), f"--folder={tmp_path / 'run'}"]
    for more in (["--trainer.max_steps=2"], ["--trainer.max_steps=4", "--ckpt_path=last"]):
        done = run("train.py", *words, *more)
        assert done.returncode == 0, done.stderr
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 4
    assert load_prior(tmp_path / "run" / "prior.safetensors").shape == (1, 8, 8)
    refused = run("train.py", *words)
    assert refused.returncode == 2
    assert "already holds a run" in refused.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_on_two_ranks_interrupted_twice_equals_the_straight_one(ranks: Path, kind: str) -> None:
    assert_same_training(ranks / f"run {kind}", ranks / f"straight {kind}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_of_which_one_rank_is_terminated_ends_on_all_and_goes_on(ranks: Path, kind: str) -> None:
    assert [(ranks / f"code {kind} {rank}").read_text() for rank in range(2)] == ["143", "143"]
    assert_same_training(ranks / f"terminated {kind}", ranks / f"straight {kind}")


def test_workers_do_not_change_a_training(ranks: Path) -> None:
    assert_same_training(ranks / "straight 0 workers", ranks / "straight 2 workers")


def assert_close_training(one: Path, other: Path) -> None:
    """Weights are the same, but for the rounding of sums."""
    first, second = (checkpoint(folder)["state_dict"] for folder in (one, other))
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)
    priors = [load_file(folder / "prior.safetensors") for folder in (one, other)]
    torch.testing.assert_close(*priors, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_on_two_ranks_is_that_of_one_with_as_many_images_a_step(
    straight: Path, ranks: Path, kind: str
) -> None:
    assert_close_training(straight, ranks / f"straight {kind}")


@on_cpus
def test_a_training_may_begin_to_share_weights_and_cease_to(straight: Path, ranks: Path) -> None:
    assert_close_training(straight, ranks / "changing")


def test_ranks_that_see_different_checkpoints_do_not_go_on(ranks: Path) -> None:
    assert [(ranks / f"code local {rank}").read_text() for rank in range(2)] == ["2", "2"]
    assert checkpoint(ranks / "local0")["global_step"] == 1


def test_ranks_verify_a_share_each_and_tell_one_another(ranks: Path) -> None:
    (looked, left), (others, same) = (
        json.loads((ranks / f"verified{rank}.json").read_text()) for rank in range(2)
    )
    assert left == same == ["0.png", "1.png", "2.png", "4.png"]
    assert (looked, others) == (["0.png", "2.png", "4.png"], ["1.png", "3.png"])


@on_cpus
def test_blocks_that_share_weights_take_the_same_steps(ranks: Path) -> None:
    assert_close_training(ranks / "DDP", ranks / "FSDP")
    assert (ranks / "FSDP" / "samples.png").exists()
