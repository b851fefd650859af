"""Faults of disks: full ones, and folders that nobody may write to."""

import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import refusal, tiny_prior
from lightning import Trainer
from PIL import Image
from restorations import arguments, assert_same, recorded
from trainings import assert_same_training, checkpoint, words

from lightning_inv.callbacks import AtomicCheckpointIO
from lightning_inv.callbacks.journal import Journal
from lightning_inv.callbacks.pictures import write_png
from lightning_inv.cli import infer, train
from lightning_inv.priors import load_prior, save_prior

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning"),
]
Disk = Callable[[str], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small disk: mounts it with these options, or changes them."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        again = "remount," if place.is_mount() else ""
        command = ["mount", "-t", "tmpfs", "-o", again + options, "none", str(place)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this user may not mount a file system")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def logged(folder: Path) -> list[str]:
    """The arguments that make a run write for TensorBoard, too."""
    settings = {"": "TensorBoardLogger", ".save_dir": folder, ".name": "", ".version": ""}
    return [f"--trainer.logger{key}={value}" for key, value in settings.items()]


def left(folder: Path) -> list[Path]:
    """What was being written and is not whole, or is in the way of the next run."""
    return [*folder.rglob("*.part"), *folder.rglob("new.ckpt"), *folder.rglob(".lock")]


@pytest.mark.parametrize(
    ("size", "told", "kept"),
    [(4, "a file in {run} could not be written", []), (80, "'{run}/checkpoints/new.ckpt'", ["best", "last"])],
    ids=["no room for the file of TensorBoard", "none for a third checkpoint"],
)
def test_a_training_says_that_the_disk_is_full_keeps_what_it_has_and_goes_on(
    size: int, told: str, kept: list[str], disk: Disk, straight: Path, tmp_path: Path, capsys
) -> None:
    run = disk(f"size={size}k") / "run"
    more = [*logged(run), "--trainer.log_every_n_steps=1", "--ckpt_path=auto"]
    given = words(tmp_path / "run", f"--folder={run}", *more)
    assert f"No space left on device: {told.format(run=run)}" in refusal(train, given, capsys)
    assert left(run) == []
    assert [checkpoint(run, name)["global_step"] for name in kept] == [2] * len(kept)
    assert [load_prior(path).shape for path in run.glob("prior.*")] == [(1, 8, 8)] * bool(kept)
    disk("size=1m")
    train(given)
    assert_same_training(run, straight)


@pytest.mark.parametrize("size", [8, 12, 40, 90], ids="{} KiB".format)
def test_a_restoration_says_that_the_disk_is_full_keeps_what_it_has_and_goes_on(
    size: int, disk: Disk, prior: Path, finished: Path, capsys: pytest.CaptureFixture
) -> None:
    job = disk(f"size={size}k") / "job"
    given = [*arguments(prior, job, "--data.batch_size=1"), *logged(job)]
    said = refusal(infer, given, capsys)
    assert "No space left on device: " in said
    assert str(job) in said
    assert left(job) == []
    assert 0 not in [path.stat().st_size for path in job.glob("*.yaml") if path.name != "hparams.yaml"]
    for record in recorded(job).values():
        for solver in record["solvers"]:
            Image.open(job / solver / f"{record['name']}.png").load()
    disk("size=1m")
    before = recorded(job)
    infer(given)
    assert before.items() <= recorded(job).items()
    assert_same(finished, job)


WRITES = {
    "checkpoint": lambda path: AtomicCheckpointIO().save_checkpoint({"x": torch.zeros(9999)}, path),
    "picture": lambda path: write_png(path.with_suffix(".png"), torch.rand(1, 64, 64)),
    "prior": lambda path: save_prior(path, tiny_prior(), {}),
    "records": lambda path: Journal(path).append([{"index": i} for i in range(999)]),
}


@pytest.fixture
def short_files() -> Iterator[None]:
    """Files of this process may have 500 bytes."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, usual[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.mark.parametrize("kind", WRITES)
def test_a_file_that_cannot_be_written_to_its_end_is_named(
    kind: str, tmp_path: Path, short_files: None
) -> None:
    with pytest.raises(OSError, match=re.escape(str(tmp_path / "a"))):
        WRITES[kind](tmp_path / "a")
    assert [path for path in tmp_path.glob("*") if path.is_file()] == []


@pytest.fixture(params=["read-only", "a file", "below a file"])
def closed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder that cannot be written to."""
    if request.param == "read-only" and os.geteuid() == 0:
        return request.getfixturevalue("disk")("ro")
    folder = tmp_path / "closed"
    if request.param == "read-only":
        folder.mkdir(mode=0o500)
        return folder
    folder.write_bytes(b"a file")
    return folder / "run" if request.param == "below a file" else folder


@pytest.mark.parametrize("script", [train, infer], ids=["train", "infer"])
def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(
    script: Callable, closed: Path, prior: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(Trainer, "fit", work)
    monkeypatch.setattr(Trainer, "predict", work)
    given = arguments(prior, closed) if script is infer else words(tmp_path / "run", f"--folder={closed}")
    said = refusal(script, given, capsys)
    assert f"nothing can be written to {closed}: " in said
    assert len(said.splitlines()) <= 3
