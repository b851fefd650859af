"""infer.py as a whole: one image has one result, and the tables tell the truth."""

import json
from pathlib import Path

import pytest
import torch
from restorations import ROOT, SOLVERS, arguments, assert_same, comparable, pixels, rows
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torch.utils.data import default_collate

from lightning_inv.callbacks.report import COLUMNS, as_text, statistics
from lightning_inv.cli import infer
from lightning_inv.constraints import Measurement
from lightning_inv.data import Digits
from lightning_inv.denoisers import EpsilonDenoiser
from lightning_inv.modules import Restoration, Restored
from lightning_inv.networks import ZeroNetwork
from lightning_inv.operators import Inpainting
from lightning_inv.solvers import DDRM, REDDiff, Unconditional


def test_every_image_and_solver_has_a_row_and_a_picture(finished: Path) -> None:
    assert [(row["index"], row["solver"]) for row in rows(finished)] == [
        (str(i), solver) for i in range(5) for solver in SOLVERS
    ]
    for folder in ("truth", "measurement", *SOLVERS):
        assert len(list((finished / folder).glob("*.png"))) == 5
    assert len(list((finished / "grids").glob("*.png"))) == 1
    assert (finished / "config.yaml").exists()


def test_evaluations_are_those_of_the_method(finished: Path) -> None:
    solvers = json.loads((finished / "summary.json").read_text())["solvers"]
    counts = {name: measures["evaluations"]["mean"] for name, measures in solvers.items()}
    assert counts == {"reddiff": 10, "ddrm": 5, "plug_and_play": 20}


def test_summary_is_the_mean_of_the_rows(finished: Path) -> None:
    values = torch.tensor([float(row["psnr"]) for row in rows(finished) if row["solver"] == "ddrm"])
    summary = json.loads((finished / "summary.json").read_text())["solvers"]["ddrm"]["psnr"]
    assert summary["mean"] == pytest.approx(float(values.mean()), rel=1e-5)
    assert summary["standard_error"] == pytest.approx(float(values.std() / 5**0.5), rel=1e-4)


def test_a_single_image_has_no_standard_error() -> None:
    assert statistics([2.0]) == {"mean": 2.0, "standard_error": None}
    told = {"ddrm": dict.fromkeys(COLUMNS, statistics([2.0]))}
    assert "+-" not in as_text({"solvers": told})


@pytest.mark.parametrize("size", [1, 2, 16])
def test_batch_size_does_not_change_results(prior: Path, finished: Path, size: int, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path, f"--data.batch_size={size}"))
    assert_same(finished, tmp_path)


def test_fewer_images_are_the_first_of_many(prior: Path, finished: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path, "--data.limit=2"))
    assert len(rows(tmp_path)) == 2 * len(SOLVERS)
    for a, b in zip(comparable(tmp_path), comparable(finished), strict=False):
        assert float(a["psnr"]) == pytest.approx(float(b["psnr"]), abs=1e-4)


def test_another_solver_changes_nothing(prior: Path, finished: Path, tmp_path: Path) -> None:
    only = '{"ddrm": {"class_path": "DDRM", "init_args": {"steps": 5}}}'
    words = [word for word in arguments(prior, tmp_path) if not word.startswith("--model.solvers")]
    infer([*words, f"--model.solvers={only}"])
    alone = {row["index"]: float(row["psnr"]) for row in rows(tmp_path)}
    beside = {row["index"]: float(row["psnr"]) for row in rows(finished) if row["solver"] == "ddrm"}
    assert alone == pytest.approx(beside, abs=1e-4)


def test_samples_give_mean_and_deviation(prior: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path, "--model.samples=3", "--data.limit=2"))
    mean = pixels(tmp_path, "ddrm").double()
    samples = [
        pixels(tmp_path / "ddrm_samples", path.stem).double()
        for path in sorted((tmp_path / "ddrm").glob("*.png"))
    ]
    for drawn in samples:
        assert len(drawn) == 3
        assert (drawn[0] != drawn[1]).any()
    std = pixels(tmp_path, "ddrm_std").double()
    for b, drawn in enumerate(samples):
        inside = ((drawn > 0) & (drawn < 255)).all(0)  # clipped to black or white only when written
        assert inside.any()
        assert ((mean[b] - drawn.mean(0))[inside].abs() <= 1).all()
        expected = (2 * drawn.std(0)).clamp(max=255)  # black is 0, white is half of the range of images
        assert ((std[b] - expected)[inside].abs() <= 3).all()
    for row in rows(tmp_path):
        assert row["psnr"] != row["psnr_of_mean"]


def test_unconditional_samples_need_no_data(prior: Path, tmp_path: Path) -> None:
    infer(
        [
            f"--config={ROOT / 'configs/problems/unconditional.yaml'}",
            *arguments(prior, tmp_path)[:2],
            *arguments(prior, tmp_path)[4:7],
            "--data.count=3",
            "--model.solvers.samples.steps=4",
        ]
    )
    assert len(list((tmp_path / "samples").glob("*.png"))) == 3
    assert {row["psnr"] for row in rows(tmp_path)} == {""}


def test_order_does_not_change_results(prior: Path) -> None:
    model = Restoration(
        str(prior), {"ddrm": DDRM(steps=5), "reddiff": REDDiff(steps=5)}, Measurement(Inpainting(), 0.1)
    )
    images, order = Digits(limit=4).selected(), [2, 0, 3, 1]

    def restore(indices: list[int]) -> Restored:
        return model.predict_step(default_collate([images[i] for i in indices]), 0)

    finished, shuffled = restore([0, 1, 2, 3]), restore(order)
    for name, solution in finished.solutions.items():
        other = shuffled.solutions[name].samples
        torch.testing.assert_close(other, solution.samples[:, order], atol=1e-5, rtol=1e-4)


def test_perfect_image_has_no_number(prior: Path, tmp_path: Path) -> None:
    words = [word for word in arguments(prior, tmp_path) if not word.startswith("--model.solvers")]
    words += ["--model.measurement.operator=Identity", "--model.measurement.sigma=0"]
    infer([*words, '--model.solvers={"pinv": {"class_path": "PseudoInverse"}}'])
    assert {row["psnr"] for row in rows(tmp_path)} == {""}
    assert json.loads((tmp_path / "summary.json").read_text())["solvers"]["pinv"]["psnr"] is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data=NoImages"], "there is nothing to measure"),
        (["--model.solvers.truth=PseudoInverse"], "'truth' is the name of a folder of a run; give"),
        (
            ["--model.solvers.reddiff.plan.low=0.9", "--model.solvers.reddiff.plan.high=0.5"],
            "0 <= low < high",
        ),
    ],
    ids=["nothing", "name", "plan"],
)
def test_what_cannot_work_is_said_before(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: list[str], message: str
) -> None:
    words = [word for word in arguments(prior, tmp_path) if not word.startswith("--data") or len(more) != 1]
    with pytest.raises(SystemExit):
        infer([*words, *more])
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.png"))


class Shift(ZeroNetwork):
    """Sees the same noise in every image of a class."""

    num_classes = 10

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return super().forward(x, t) + label[:, None, None, None] / 10


def test_prior_with_classes_is_told_those_of_the_data_or_the_one_given() -> None:
    classes = {}
    for label in (None, 0, 7):
        model = Restoration(
            EpsilonDenoiser(Shift(), (1, 8, 8)), {"samples": Unconditional(steps=2)}, label=label
        )
        batch = default_collate(
            [{"index": 0, "name": "a", "label": 7}, {"index": 0, "name": "b", "label": 0}]
        )
        classes[label] = model.predict_step(batch, 0).solutions["samples"].samples[0]
    assert (classes[7][0] != classes[0][0]).all()
    assert torch.equal(classes[None], torch.stack([classes[7][0], classes[0][0]]))


def test_tensorboard_is_told_the_grids(prior: Path, tmp_path: Path) -> None:
    words = [word for word in arguments(prior, tmp_path / "out") if "logger" not in word]
    infer([*words, "--data.batch_size=3"])
    events = EventAccumulator(str(tmp_path / "out"), {"images": 0}).Reload()
    assert [image.step for image in events.Images("restored")] == [0, 3]


def test_the_progress_bar_counts_images(prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = arguments(prior, tmp_path, "--data.batch_size=2", "--data.limit=3")
    infer([word for word in words if "enable_progress" not in word])
    assert "3/3" in capsys.readouterr().out


def test_precision_that_solvers_cannot_use_is_refused(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        infer(arguments(prior, tmp_path, "--trainer.precision=bf16-true"))
    assert "precision must be 32, bf16-mixed or 16-mixed, got bf16-true" in capsys.readouterr().err
