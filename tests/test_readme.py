"""The commands of README.md run, in their order, in a folder that holds what they name."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from fakes import write_idx, write_pictures
from helpers import tiny_prior

from lightning_inv.cli import infer, train
from lightning_inv.priors import save_prior

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TRAINING = (ROOT / "docs" / "training.md").read_text()
EXTENDING = (ROOT / "docs" / "extending.md").read_text()
QUICK_TRAIN = [
    "--trainer.max_steps=1",
    "--trainer.val_check_interval=1",
    "--model.lr_scheduler.warmup=0",
    "--data.batch_size=2",
    "--samples.count=1",
    "--samples.steps=1",
    "--quality.steps=1",
    "--quality.images=4",
    "--baseline.images=4",
    "--trainer.limit_val_batches=1",
]
QUICK_INFER = ["--data.limit=2"]
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


def commands(script: str, page: str = README) -> list[list[str]]:
    """The words after the script's name of every command that calls it, in order."""
    lines = "\n".join(blocks("bash", page)).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[line.index(script) + 1 :] for line in words if script in line]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands name: the configurations, Fashion-MNIST, folders of pictures and masks."""
    root = tmp_path_factory.mktemp("workplace")
    (root / "configs").symlink_to(ROOT / "configs")
    for folder in ("FOLDER", "data"):
        write_idx(root / folder, train=120, test=4)
    write_pictures(root / "my_images", count=60, size=(70, 66))
    write_pictures(root / "my_photos", count=2, size=(64, 64))
    write_pictures(root / "my_masks", count=2, size=(64, 64))
    write_pictures(root / "photo", count=1, size=(50, 38))
    (root / "photo" / "000.png").rename(root / "my_photo.jpg")
    return root


@pytest.fixture
def here(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workplace)
    for run, shape in (("digits", (1, 8, 8)), ("mine", (3, None, None))):  # tests run in any order
        if not (prior := workplace / "runs" / run / "prior.safetensors").exists():
            save_prior(prior, tiny_prior(shape), {})
    return workplace


@pytest.mark.parametrize("words", commands("train.py"), ids=" ".join)
def test_training_command(words: list[str], here: Path) -> None:
    small = ["--model.denoiser.network.widths=[8,8]", "--model.denoiser.network.depths=[1,1]"]
    small = small if "my_images" in words else []
    for stand_in in here.glob("runs/*/prior.safetensors"):
        if not (stand_in.parent / "config.yaml").exists():
            stand_in.unlink()
    cli = train([*words, *QUIET, *QUICK_TRAIN, *small])
    folder = Path(cli.trainer.default_root_dir)
    assert (folder / "prior.safetensors").exists()
    assert (folder / "samples.png").exists()


ELSEWHERE = {"configs/compare.yaml", "configs/tune.yaml"}  # other tests run them in fewer steps
RESTORATIONS = [words for words in commands("infer.py") if words and not ELSEWHERE & set(words)]


@pytest.mark.parametrize("words", RESTORATIONS, ids=" ".join)
def test_restoration_command(words: list[str], here: Path) -> None:
    solvers = ["ddrm"] if "ddrm.yaml" in " ".join(words) else ["ddrm", "reddiff", "plug_and_play"]
    photographs = "my_photo.jpg" in words
    quick = [f"--model.solvers.{solver}.steps=2" for solver in [*solvers, *["diffpir"] * photographs]]
    summary = infer([*words, *QUIET, *QUICK_INFER, *quick])
    assert summary["images"] == (1 if photographs else 2)


def test_python_block_runs() -> None:
    (code,) = blocks("python")
    names: dict = {}
    exec(code, names)  # the README's own example
    assert names["restored"].shape == (4, 1, 32, 32)


def test_what_is_written_to_extend_the_package_runs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(here)
    for code in [*blocks("python", EXTENDING), *blocks("yaml", EXTENDING)]:
        (here / code.split()[1]).write_text(code)  # the first line names the file
    np.save(here / "volume.npy", np.random.default_rng(0).uniform(-1, 1, (40, 8, 8)))
    for words in commands("train.py", EXTENDING):
        train([*words, *QUIET, *QUICK_TRAIN, "--folder=runs/extended"])
    for words in commands("infer.py", EXTENDING):
        said = " ".join(words)
        alone = [
            name
            for name, file in {"reddiff": "reddiff", "plug_and_play": "bright"}.items()
            if f"{file}.yaml" in said
        ]
        solvers = alone or ["ddrm", "reddiff", "plug_and_play"]
        quick = [f"--model.solvers.{name}.steps=2" for name in solvers]
        few = [] if "data.count" in said else QUICK_INFER
        told = infer([*words, *QUIET, *few, *quick])["solvers"]
        assert set(told) == {*solvers, *([] if alone else ["mine"])}


def test_what_is_written_of_training_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the page: what goes on or starts from a prior finds it."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    write_pictures(tmp_path / "my_images", count=60, size=(70, 66))
    monkeypatch.chdir(tmp_path)
    small = ["--model.denoiser.network.widths=[8,8,8,8]", "--data.val_crops=2", "--quality.count=1"]
    for code in blocks("yaml", TRAINING):
        (tmp_path / code.split()[1]).write_text(code)  # the first line names the file
    for words in commands("train.py", TRAINING):
        cli = train([*words, *QUIET, *QUICK_TRAIN, *small])
        assert (Path(cli.trainer.default_root_dir) / "quality.json").exists()


def test_make_targets_of_the_first_screen_exist() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(re.findall(r"^make (\w+)", "\n".join(blocks("bash")), re.M)) <= set(targets)


CLAIMS = re.findall(r"`(test_\w+\.py)`: ((?:\w+(?:, )?)+)", (ROOT / "docs" / "correctness.md").read_text())


@pytest.mark.parametrize(("file", "names"), CLAIMS)
def test_what_is_said_to_be_tested_is(file: str, names: str) -> None:
    tests = re.findall(r"^def (test_\w+)", (ROOT / "tests" / file).read_text(), re.M)
    assert all(any(name in test for test in tests) for name in names.split(", "))


@pytest.mark.parametrize("target", re.findall(r"\]\(((?:docs/|CHANGELOG|configs/)[^)#]*)", README))
def test_linked_file_exists(target: str) -> None:
    assert (ROOT / target).exists()
