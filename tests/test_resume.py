"""A folder of results: what is done stays, what is missing is computed, nothing is mixed."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers import refusal
from restorations import ROOT, arguments, assert_same, forget, recorded

from lightning_inv.callbacks import results
from lightning_inv.callbacks.journal import Record
from lightning_inv.callbacks.manifest import STALE, Manifest
from lightning_inv.cli import CONFIGS, InferCommandLine, infer
from lightning_inv.modules import Restoration

pytestmark = pytest.mark.faults


def test_what_is_missing_alone_is_computed(prior: Path, finished: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path, "--data.batch_size=2"))
    before = recorded(tmp_path)
    forget(tmp_path, 3)
    infer(arguments(prior, tmp_path, "--data.batch_size=2"))
    after = recorded(tmp_path)
    assert {index for index in after if after[index] != before[index]} == {3}
    assert_same(finished, tmp_path)


def test_a_run_goes_on_with_another_batch_size(prior: Path, finished: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path, "--data.batch_size=2"))
    for index in (1, 3, 4):
        forget(tmp_path, index)
    infer(arguments(prior, tmp_path, "--data.batch_size=3"))
    assert_same(finished, tmp_path)


def test_a_finished_run_is_only_reported(prior: Path, finished: Path, capsys: pytest.CaptureFixture) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.png")}
    capsys.readouterr()
    infer(arguments(prior, finished, "--data.batch_size=5"))
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.png")} == before
    assert "reddiff" in capsys.readouterr().out


def test_images_that_are_lost_are_told(
    prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    add = Manifest.add

    def lose(self: Manifest, records: Iterable[Record]) -> None:
        add(self, [record for record in records if record["index"] != 3])

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "add", lose)
        told = refusal(infer, arguments(prior, tmp_path), capsys)
    assert f"of 5 images in {tmp_path} 1 have no result; the same command does them" in told
    assert infer(arguments(prior, tmp_path))["images"] == 5


def test_what_another_process_renames_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, glob = Manifest(tmp_path), Path.glob
    gone = manifest.parts / "gone.part"
    manifest.parts.mkdir(parents=True)
    monkeypatch.setattr(Path, "glob", lambda path, *p: [gone] if path == manifest.parts else glob(path, *p))
    assert manifest.open({"seed": 0}, overwrite=False) == set()


def test_processes_wait_for_the_slowest_longer_than_a_job_lasts() -> None:
    words = ["--data=Digits", "--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp"]
    cli = InferCommandLine(Restoration, CONFIGS / "infer.yaml", words)
    assert cli.trainer.strategy._timeout > timedelta(days=7)


def test_results_of_other_settings_are_not_mixed(
    prior: Path, finished: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        infer(arguments(prior, finished, "--model.measurement.sigma=0.3"))
    assert "differs in: noise" in capsys.readouterr().err


def test_overwrite_begins_anew(prior: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path))
    infer(arguments(prior, tmp_path, "--model.measurement.sigma=0.3", "--output.overwrite=true"))
    assert json.loads((tmp_path / "summary.json").read_text())["sigma"] == 0.3


def test_killed_run_goes_on(prior: Path, finished: Path, tmp_path: Path) -> None:
    """Kill -9 once the first records are there; nothing half-written is taken for done."""
    command = [
        sys.executable,
        str(ROOT / "infer.py"),
        *arguments(prior, tmp_path, "--data.batch_size=1"),
    ]
    slow = [*command, "--model.solvers.reddiff.steps=300"]
    straight = tmp_path / "straight"
    process = subprocess.Popen(slow, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None and len(recorded(tmp_path)) < 2:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = recorded(tmp_path)
    assert 2 <= len(done) < 5
    for part in (tmp_path / ".parts").iterdir():
        part.unlink()
    left, of_another_run = (f".{digit * 32}.part" for digit in "01")
    for name, age in ((left, 2 * STALE), (of_another_run, 0)):
        (tmp_path / ".parts" / name).write_bytes(b"half")
        os.utime(tmp_path / ".parts" / name, (time.time() - age,) * 2)

    more = ("--data.batch_size=2", "--model.solvers.reddiff.steps=300")
    infer(arguments(prior, tmp_path, *more))
    infer(arguments(prior, straight, *more))
    assert done.items() <= recorded(tmp_path).items()
    assert [part.name for part in (tmp_path / ".parts").iterdir()] == [of_another_run]
    assert_same(tmp_path, straight)


def test_damaged_record_is_computed_again(prior: Path, finished: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path))
    (records,) = (tmp_path / "records").iterdir()
    records.write_bytes(records.read_bytes()[:-40])
    infer(arguments(prior, tmp_path))
    assert_same(finished, tmp_path)


def test_results_without_a_manifest_are_not_trusted(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    infer(arguments(prior, tmp_path))
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(SystemExit):
        infer(arguments(prior, tmp_path, "--model.measurement.sigma=0.5"))
    said = " ".join(capsys.readouterr().err.split())
    assert f"{tmp_path / 'records'} holds files that no manifest in {tmp_path} tells of" in said


def test_overwrite_leaves_no_old_picture(prior: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path))
    infer(arguments(prior, tmp_path, "--data.limit=2", "--model.seed=3", "--output.overwrite=true"))
    assert len(list((tmp_path / "ddrm").glob("*.png"))) == 2
    assert len(list((tmp_path / "truth").glob("*.png"))) == 2


@pytest.mark.parametrize("spread", [False, True], ids=["images", "samples"])
def test_an_image_whose_picture_cannot_be_written_is_not_done(
    prior: Path, tmp_path: Path, spread: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write = results.write_png

    def full(path: Path, *more: Any) -> None:
        if path.parent.name == "plug_and_play":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, *more)

    monkeypatch.setattr(results, "write_png", full)
    more = ["--model.samples=2", f"--model.spread_samples={json.dumps(spread)}", "--data.limit=1"]
    assert "No space left" in refusal(infer, arguments(prior, tmp_path, *more), capsys)
    assert not recorded(tmp_path)
