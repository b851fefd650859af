"""Tallies of samples that a stranger has written, with digests made right: the samples are drawn again."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from restorations import SOLVERS, arguments, recorded
from torch import Tensor

from lightning_inv.callbacks.spread import SampleFiles, Tally
from lightning_inv.cli import infer
from lightning_inv.moments import Moments

pytestmark = pytest.mark.faults
WHOLE = torch.zeros(1, 8, 8).double()
NAME = f"000000000-1-a-1-{'0' * 32}.safetensors"


def forged(
    folder: Path,
    mean: Tensor = WHOLE,
    squares: Tensor | None = None,
    sums: Any = None,
    samples: Any = (0, 1),
    index: Any = 0,
    solvers: Iterable[str] = SOLVERS,
) -> None:
    """Writes a tally of an image, of two samples, into a folder of results."""
    squares = mean if squares is None else squares
    moments = {name: Moments(2, mean.clone(), squares.clone()) for name in solvers}
    told = {"psnr": 1.0, "seconds": 1.0} if sums is None else sums
    (folder / "tallies").mkdir(parents=True, exist_ok=True)
    tally = Tally(index, list(samples), moments, dict.fromkeys(solvers, told))
    tally.write(folder / "tallies" / NAME, folder / ".parts")


MALFORMED: dict[str, dict[str, Any]] = {
    "one number": {"mean": torch.zeros(1).double()},
    "truth values": {"mean": WHOLE.bool()},
    "single precision": {"squares": WHOLE.float()},
    "complex": {"mean": WHOLE.to(torch.complex64)},
    "two shapes": {"squares": torch.zeros(1, 5, 5).double()},
    "a list of measures": {"sums": [1]},
    "a text": {"sums": {"psnr": "a"}},
    "a huge number": {"sums": {"psnr": 10**400}},
    "NaN": {"sums": {"psnr": float("nan")}},
    "a number below 0": {"samples": (-1, 0)},
    "a sample twice": {"samples": (0, 0)},
    "no index": {"index": "a"},
}


@pytest.mark.parametrize("told", MALFORMED.values(), ids=MALFORMED)
def test_a_tally_that_is_none_counts_for_nothing(told: dict[str, Any], tmp_path: Path) -> None:
    forged(tmp_path, **told)
    files = SampleFiles(tmp_path / "tallies", tmp_path / ".parts")
    assert (files.drawn(), list(files.complete([0], 2))) == ({}, [])


def test_a_tally_as_it_is_written_counts(tmp_path: Path) -> None:
    """Else the law would prove nothing."""
    forged(tmp_path)
    assert SampleFiles(tmp_path / "tallies", tmp_path / ".parts").drawn() == {0: {0, 1}}


def test_tallies_of_an_image_have_one_shape(tmp_path: Path) -> None:
    """Else a number would be spread over a whole image."""
    files = SampleFiles(tmp_path / "tallies", tmp_path / ".parts")
    for sample, shape in enumerate([(1, 8, 8), (1, 1, 1)]):
        files.add(0, sample, {"a": torch.zeros(shape)}, {"a": {"psnr": 1.0}})
        files.write()
        files.keep([])
    assert SampleFiles(tmp_path / "tallies", tmp_path / ".parts").drawn() == {0: {0}}


OTHERS: dict[str, dict[str, Any]] = {
    "another solver": {"solvers": ("other",)},
    "fewer solvers": {"solvers": tuple(SOLVERS)[:1]},
    "another shape": {"mean": torch.zeros(7, 8, 8).double()},
    "other samples": {"samples": (5, 6)},
    "another image": {"index": 1},
    "no image": {"index": 99},
}


@pytest.mark.parametrize("told", OTHERS.values(), ids=OTHERS)
def test_a_tally_of_another_run_is_passed_over(told: dict[str, Any], prior: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = arguments(prior, run, "--data.limit=1", "--model.samples=2", "--model.spread_samples=true")
    infer(words)
    before = recorded(run)
    for path in (run / "records").iterdir():
        path.unlink()
    forged(run, **told)
    infer(words)
    assert recorded(run)[0]["solvers"].keys() == before[0]["solvers"].keys()
    assert [found["psnr_of_mean"] for found in recorded(run)[0]["solvers"].values()] == pytest.approx(
        [found["psnr_of_mean"] for found in before[0]["solvers"].values()]
    )
