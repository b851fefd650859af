"""Samples of an image shared out among processes: mean and deviation as if one had drawn them all."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import refusal
from restorations import SOLVERS, arguments, pixels, recorded, rows

from lightning_inv.callbacks import ResultWriter
from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.callbacks.spread import SampleFiles, Tally, record
from lightning_inv.cli import infer
from lightning_inv.data import Digits

FEW = ["--data.limit=2", "--model.samples=5"]
STREAMED = ("psnr", "psnr_of_mean", "ssim", "ssim_of_mean", "consistency", "evaluations", "spread", "skill")


def spread(prior: Path, folder: Path, *more: str) -> None:
    infer(arguments(prior, folder, *FEW, "--model.spread_samples=true", *more))


def assert_same_measures(one: Path, other: Path) -> None:
    for a, b in zip(rows(one), rows(other), strict=True):
        assert [a[key] for key in ("index", "name", "solver")] == [
            b[key] for key in ("index", "name", "solver")
        ]
        for key in STREAMED:
            assert float(a[key]) == pytest.approx(float(b[key]), rel=1e-4)


@pytest.fixture(scope="module")
def whole(prior: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples of whole images, by one process."""
    folder = tmp_path_factory.mktemp("whole")
    infer(arguments(prior, folder, *FEW))
    return folder


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_the_moments_are_those_of_the_samples_of_whole_images(
    prior: Path, whole: Path, tmp_path: Path, batch_size: int
) -> None:
    spread(prior, tmp_path, f"--data.batch_size={batch_size}")
    assert_same_measures(whole, tmp_path)
    for solver in SOLVERS:
        for kind in (solver, f"{solver}_std"):
            assert (pixels(whole, kind) - pixels(tmp_path, kind)).abs().max() <= 1
    for kind in ("truth", "measurement"):
        assert torch.equal(pixels(whole, kind), pixels(tmp_path, kind))
    assert not list((tmp_path / "tallies").iterdir())
    summary = json.loads((tmp_path / "summary.json").read_text())["solvers"]["ddrm"]
    assert summary["spread_skill"]["mean"] > 0
    assert summary["crps"] is None


def files_of(folder: Path) -> SampleFiles:
    return SampleFiles(folder / "tallies", folder / "parts")


class Interrupted(Exception):
    """As by a signal."""


def test_an_interrupted_run_keeps_the_samples_it_has_drawn(
    prior: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = SampleFiles.write, []

    def stop(files: SampleFiles) -> None:
        write(files)
        written.append(0)
        if len(written) == 3:
            raise Interrupted

    monkeypatch.setattr(SampleFiles, "write", stop)
    with pytest.raises(Interrupted):
        spread(prior, tmp_path, "--data.batch_size=2")
    assert files_of(tmp_path).drawn() == {0: {0, 1, 2, 3, 4}, 1: {0}}
    assert not recorded(tmp_path)
    spread(prior, tmp_path, "--data.batch_size=3")
    assert len(written) == 5  # 4 samples were left
    assert_same_measures(whole, tmp_path)


def test_samples_of_other_settings_are_not_mixed_before_an_image_is_done(
    prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def stop(files: SampleFiles) -> None:
        write(files)
        raise Interrupted

    write = SampleFiles.write
    with monkeypatch.context() as patch:
        patch.setattr(SampleFiles, "write", stop)
        with pytest.raises(Interrupted):
            spread(prior, tmp_path)
    assert not recorded(tmp_path)
    other = arguments(prior, tmp_path, *FEW, "--model.spread_samples=true", "--model.seed=3")
    assert "differs in: seed" in refusal(infer, other, capsys)
    infer([*other, "--output.overwrite=true"])
    spread(prior, tmp_path / "new", "--model.seed=3")
    assert_same_measures(tmp_path, tmp_path / "new")


def entry(files: SampleFiles, sample: int, value: float) -> None:
    files.add(7, sample, {"a": torch.full((1, 2, 2), value)}, {"a": {"psnr": value, "peak_memory": value}})


def test_files_with_a_sample_that_another_has_are_left_out_whole(tmp_path: Path) -> None:
    """Two runs in one folder at once may do this."""
    for samples in ((0, 1), (1, 2), (2,)):
        files = files_of(tmp_path)
        for sample in samples:
            entry(files, sample, float(sample))
        files.write()
    assert files_of(tmp_path).drawn() == {7: {0, 1, 2}}
    (tally,) = files_of(tmp_path).complete([6, 7], 3)
    assert (tally.samples, tally.sums["a"]) == ([0, 1, 2], {"psnr": 3.0, "peak_memory": 2.0})
    assert tally.moments["a"].mean.eq(1).all()
    assert not list((tmp_path / "tallies").iterdir())


def test_a_file_that_another_process_has_just_merged_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(tmp_path)
    entry(files, 0, 0.0)
    files.write()
    found = files._paths()
    next(iter(found[7])).unlink()
    monkeypatch.setattr(SampleFiles, "_paths", lambda self: found)
    assert files_of(tmp_path).drawn() == {}


@pytest.mark.faults
def test_a_damaged_file_is_drawn_again(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    entry(files, 0, 0.0)
    files.write()
    (path,) = (tmp_path / "tallies").iterdir()
    path.write_bytes(path.read_bytes()[:50])
    assert files_of(tmp_path).drawn() == {}


def test_samples_that_lack_a_measure_leave_it_out(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    for sample, psnr in ((0, None), (1, 1.0), (2, None)):
        files.add(7, sample, {"a": torch.zeros(1, 2, 2)}, {"a": {"psnr": psnr}})
    files.write()
    (tally,) = files_of(tmp_path).complete([7], 3)
    assert tally.sums == {"a": {"psnr": None}}


def test_one_sample_cannot_be_spread(prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = arguments(prior, tmp_path, "--model.spread_samples=true")
    assert "model.samples must be at least 2 with model.spread_samples, got 1" in refusal(
        infer, words, capsys
    )


def test_samples_that_are_spread_are_not_mixed_with_whole_images(
    prior: Path, whole: Path, capsys: pytest.CaptureFixture
) -> None:
    words = arguments(prior, whole, *FEW, "--model.spread_samples=true")
    assert "differs in: spread_samples" in refusal(infer, words, capsys)


def test_a_batch_writes_the_tallies_of_its_images_alone(
    prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = Tally.write, []

    def note(tally: Tally, *paths: Path) -> None:
        written.append(tally.index)
        write(tally, *paths)

    monkeypatch.setattr(Tally, "write", note)
    spread(prior, tmp_path, "--data.batch_size=1")
    assert written == [0] * 5 + [1] * 5


def test_an_image_that_lacks_a_sample_is_not_complete(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    for sample in (0, 2):
        entry(files, sample, 0.0)
    files.write()
    assert not list(files_of(tmp_path).complete([7], 3))
    assert files_of(tmp_path).drawn() == {7: {0, 2}}


def test_samples_stay_on_the_disk_until_their_image_is_done(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    entry(files, 0, 0.0)
    files.write()
    complete = files_of(tmp_path).complete([7], 1)
    next(complete)
    assert files_of(tmp_path).drawn() == {7: {0}}
    assert not list(complete)
    assert files_of(tmp_path).drawn() == {}


def test_each_rank_merges_its_share(tmp_path: Path) -> None:
    output, files, data = ResultWriter(str(tmp_path)), files_of(tmp_path), Digits(limit=5)
    for index in range(5):
        for sample in range(2):
            files.add(index, sample, {"a": torch.full((1, 8, 8), sample / 2)}, {"a": {"psnr": 1.0}})
    files.write()
    output.manifests, output.sample_files = {"": Manifest(tmp_path)}, {"": files}
    for rank, done in ((0, {0, 2, 4}), (1, {0, 1, 2, 3, 4})):
        trainer = SimpleNamespace(datamodule=data, global_rank=rank, world_size=2)
        output.merge(trainer, SimpleNamespace(samples=2))
        assert recorded(tmp_path).keys() == done


def test_samples_add_their_seconds_and_share_their_measures(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    for sample, told in enumerate(((1.0, 10, 2.0, 5.0), (3.0, 10, 4.0, 3.0))):
        names = ("psnr", "evaluations", "seconds", "peak_memory")
        files.add(7, sample, {"a": torch.zeros(1, 2, 2)}, {"a": dict(zip(names, told, strict=True))})
    files.write()
    (tally,) = files.complete([7], 2)
    expected = {"psnr": 2.0, "evaluations": 10, "seconds": 6.0, "peak_memory": 5.0}
    assert expected.items() <= record(tally, "b", None)["solvers"]["a"].items()
