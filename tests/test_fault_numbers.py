"""Numbers that are not finite: an image without a result harms no other, and is told."""

import csv
import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from comparisons import words
from families import LINEAR
from restorations import arguments, lines, recorded, rows
from small_solvers import SOLVERS, UNMEASURED
from spoilers import DARK
from torch import Tensor

from lightning_inv.cli import infer
from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate, GaussianDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import JPEG, Images
from lightning_inv.solvers import Problem

pytestmark = pytest.mark.faults
SHAPE, COUNT, BAD = (1, 8, 8), 3, 1
OTHERS = [b for b in range(COUNT) if b != BAD]
OPERATORS = {name: LINEAR[name].operator for name in ("random inpainting", "blurred and masked")}
OPERATORS["jpeg"] = JPEG(20)
"""A mask for each image, and what conjugate gradients invert."""
OF_Y = ("exact guidance", "pseudo-inverse")
"""Those that learn of an image by its measurement alone: the one knows its prior, the other has none."""


class OfClasses(Denoiser):
    """A Gaussian prior, whose estimates of images of class 1 are not finite from the middle of the way on."""

    num_classes = 2

    def __init__(self, harm: float) -> None:
        super().__init__()
        self.known, self.harm = GaussianDenoiser(torch.zeros(SHAPE), 0.1 * torch.eye(64)), harm
        self.schedule, self.shape = self.known.schedule, SHAPE

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        factor = torch.where((label == 1).view(-1, 1, 1, 1) & (t < 700), self.harm, 1.0)
        return Estimate(*(factor * part for part in self.known(x_t, t)))


def cases() -> list[tuple[str, str, float]]:
    """The solvers, each with the operators that it serves, and what it meets there."""
    found = [(name, "random inpainting", harm) for name in SOLVERS for harm in (math.nan, math.inf)]
    second = Measurement(OPERATORS["blurred and masked"])
    found += [
        (name, "blurred and masked", math.nan)
        for name, solver in SOLVERS.items()
        if name not in UNMEASURED and solver.serves(second)
    ]
    return [(name, "jpeg" if name == "DDRM for JPEG" else kind, harm) for name, kind, harm in found]


@pytest.mark.parametrize(("name", "kind", "harm"), cases())
def test_an_image_whose_numbers_are_not_finite_does_not_touch_the_others(
    name: str, kind: str, harm: float
) -> None:
    def stream(purpose: str) -> NoiseStream:
        return NoiseStream.of(0, range(COUNT), purpose)

    images = Images(SHAPE, [f"image{i}" for i in range(COUNT)], stream("operator"))
    measurement = Measurement(OPERATORS[kind], 0.1).prepare(images)
    y = measurement.observe(torch.randn(COUNT, *SHAPE) / 3, stream("measurement"))
    prior, label = OfClasses(harm), torch.zeros(COUNT, dtype=torch.long)
    prior = prior.known if name == "exact guidance" else prior

    def solved() -> Tensor:
        return SOLVERS[name](Problem(y, measurement, prior, stream("solver"), label))

    expected = solved()
    label[BAD] = 1
    y[BAD] *= harm if name in OF_Y else 1.0
    x = solved()
    torch.testing.assert_close(x[OTHERS], expected[OTHERS], atol=1e-5, rtol=1e-4)
    assert not x[BAD].isfinite().all()


FAILING = {
    name: {"class_path": path}
    for name, path in (
        ("spoiled", "spoilers.Spoiled"),
        ("singular", "spoilers.Singular"),
        ("fine", "PseudoInverse"),
    )
}
WHY = {
    "spoiled": "1 of 64 numbers are not finite, from step 2 of 3 on",
    "singular": "LinAlgError: linalg.eigh: ",
}
NAME = "digit0019"


def failing(prior: Path, folder: Path, *more: str, solvers: Any = FAILING) -> list[str]:
    """The words of a restoration of noisy digits."""
    usual = [word for word in arguments(prior, folder) if not word.startswith("--model.solvers")]
    measured = ["--model.measurement.operator=Identity", f"--model.solvers={json.dumps(solvers)}"]
    return [*usual, *measured, "--data.batch_size=3", *more]


@pytest.fixture(scope="module")
def failed(prior: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of a restoration in which two of three solvers fail for an image, and the warnings."""
    folder = tmp_path_factory.mktemp("failed")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        infer(failing(prior, folder))
    return folder, [str(warning.message) for warning in caught]


def test_the_record_of_an_image_says_why_a_solver_has_failed(failed: tuple[Path, list[str]]) -> None:
    for index, record in recorded(failed[0]).items():
        for solver, measures in record["solvers"].items():
            if index == DARK and solver in WHY:
                assert measures["failed"].startswith(WHY[solver])
                assert measures["psnr"] is None
            else:
                assert measures["failed"] is None


def test_the_others_of_its_batch_are_as_if_it_had_not_failed(failed: tuple[Path, list[str]]) -> None:
    for index, record in recorded(failed[0]).items():
        for solver in WHY if index != DARK else ():
            assert record["solvers"][solver]["psnr"] == record["solvers"]["fine"]["psnr"]


def test_a_warning_names_the_image_the_solver_and_the_step(failed: tuple[Path, list[str]]) -> None:
    assert f"spoiled has no result for {NAME} ({WHY['spoiled']})." in failed[1]
    assert any(told.startswith(f"singular has no result for {NAME} (LinAlgError: ") for told in failed[1])


def test_the_table_of_images_has_the_reason(failed: tuple[Path, list[str]]) -> None:
    told = {(row["name"], row["solver"]): row["failed"] for row in rows(failed[0])}
    assert told.pop((NAME, "spoiled")) == WHY["spoiled"]
    assert told.pop((NAME, "singular")).startswith(WHY["singular"])
    assert set(told.values()) == {""}


def test_the_summary_counts_and_names_failures_and_its_means_leave_them_out(
    failed: tuple[Path, list[str]],
) -> None:
    summary = json.loads((failed[0] / "summary.json").read_text())
    assert summary["failed"] == {solver: {"images": 1, "first": [NAME]} for solver in WHY}
    psnr = [float(row["psnr"]) for row in rows(failed[0]) if row["solver"] == "fine" and row["name"] != NAME]
    for solver in WHY:
        assert summary["solvers"][solver]["psnr"]["mean"] == pytest.approx(sum(psnr) / 4)


def test_what_is_not_finite_has_no_picture(failed: tuple[Path, list[str]]) -> None:
    missing = {
        solver: [
            path.stem for path in (failed[0] / "truth").glob("*.png") if not (folder / path.name).exists()
        ]
        for solver in FAILING
        if (folder := failed[0] / solver)
    }
    assert missing == {"spoiled": [NAME], "singular": [NAME], "fine": []}
    assert len(list((failed[0] / "grids").iterdir())) == 2


def test_the_same_command_again_leaves_failures_as_they_are_and_tells_them(
    prior: Path, failed: tuple[Path, list[str]], capsys: pytest.CaptureFixture
) -> None:
    before = lines(failed[0])
    infer(failing(prior, failed[0]))
    assert lines(failed[0]) == before
    told = f"spoiled has no result for 1 of 5 images, which its means leave out: {NAME}."
    assert told in capsys.readouterr().out


def test_a_comparison_tells_failures_and_pairs_the_images_that_both_have(prior: Path, tmp_path: Path) -> None:
    problem = {"noisy": {"measurement": {"operator": {"class_path": "Identity"}, "sigma": 0.1}}}
    infer(
        words(
            prior, tmp_path / "run", "--packages=[spoilers]", model={"solvers": FAILING, "problems": problem}
        )
    )
    page = (tmp_path / "run" / "comparison.md").read_text()
    assert f"spoiled has no result for 1 of 4 images, which its means leave out: {NAME}." in page
    with (tmp_path / "run" / "comparison.csv").open() as file:
        found = {(row["solver"], row["measure"]): row for row in csv.DictReader(file)}
    differences = {row["solver"]: row for key, row in found.items() if key[1] == "psnr_difference"}
    assert len(differences) == 2
    for row in differences.values():
        assert (row["n"], float(row["mean"])) == ("3", 0.0)
    assert [found[solver, "psnr"]["n"] for solver in FAILING] == ["3", "3", "4"]


def test_a_solver_that_fails_for_every_image_has_no_numbers_and_stops_nothing(
    prior: Path, tmp_path: Path
) -> None:
    problem = {"noisy": {"measurement": {"operator": {"class_path": "Identity"}, "sigma": 0.1}}}
    never = {"never": {"class_path": "spoilers.Spoiled", "init_args": {"steps": 3, "below": 1e9}}}
    model = {"solvers": never, "problems": problem}
    infer(words(prior, tmp_path / "run", "--output.inputs=false", "--packages=[spoilers]", model=model))
    (line,) = [
        line for line in (tmp_path / "run" / "comparison.md").read_text().splitlines() if "| never" in line
    ]
    assert set(line.split(" | ")[1:]) == {"-", "- |"}


CHANCY = {"chancy": {"class_path": "spoilers.Chancy"}}
MANY = ("--model.samples=4", "--data.limit=5")


def test_an_image_fails_if_one_of_its_samples_does_whole_or_spread(prior: Path, tmp_path: Path) -> None:
    whole, spread = tmp_path / "whole", tmp_path / "spread"
    infer(failing(prior, whole, *MANY, solvers=CHANCY))
    infer(failing(prior, spread, *MANY, "--model.spread_samples=true", solvers=CHANCY))
    told = [[row["name"] for row in rows(folder) if row["failed"]] for folder in (whole, spread)]
    assert 0 < len(told[0]) < 5
    assert told[0] == told[1]
    for folder in (whole, spread):
        shown = {path.stem for path in (folder / "chancy").glob("*.png")}
        assert shown == {path.stem for path in (folder / "truth").glob("*.png")} - set(told[0])
    assert 0 < len(list((whole / "chancy_samples" / told[0][0]).iterdir())) < 4
