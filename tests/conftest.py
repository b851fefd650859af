"""Small problems whose answers are known."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from PIL import Image
from restorations import ROOT, arguments
from trainings import words

from lightning_inv.cli import infer, train
from lightning_inv.denoisers import EpsilonDenoiser
from lightning_inv.networks import TinyNetwork
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Images
from lightning_inv.priors import save_prior

SHAPE = (3, 8, 8)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of six steps without an interruption, four steps a pass."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    train(words(folder))
    return folder


@pytest.fixture(scope="session")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained prior of 8 x 8 grey images."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("prior") / "prior.safetensors"
    save_prior(path, EpsilonDenoiser(TinyNetwork(), (1, 8, 8)), {})
    return path


@pytest.fixture(scope="session")
def finished(prior: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a restoration without an interruption."""
    folder = tmp_path_factory.mktemp("finished")
    infer(arguments(prior, folder, "--data.batch_size=5"))
    return folder


@pytest.fixture(scope="session")
def ranks(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The trainings of ``ranks.py`` on two ranks, made by the first of the processes that test."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "ranks"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            _train_on_two_ranks(folder)
            (folder / "done").touch()
    return folder


def _train_on_two_ranks(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    for k in range(5):
        Image.new("L", (4, 4)).save(folder / "images" / f"{k}.png")
    (folder / "images" / "3.png").write_bytes(b"broken")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, *launcher, str(ROOT / "tests" / "ranks.py"), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def images(count: int, first: int = 0) -> Images:
    """Colour images of 8 x 8 pixels to prepare an operator for."""
    indices = range(first, first + count)
    return Images(SHAPE, [f"image{i}" for i in indices], NoiseStream.of(0, indices, "operator"))


def random_covariance(n: int, seed: int = 0) -> torch.Tensor:
    """A full covariance, shape ``(n, n)``, with eigenvalues between 0.05 and about 1."""
    factor = torch.randn(n, n, generator=torch.Generator().manual_seed(seed)) / n**0.5
    return 0.5 * factor @ factor.mT + 0.05 * torch.eye(n)
