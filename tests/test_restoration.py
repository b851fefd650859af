"""infer.py as a whole: one image has one result, whatever interrupts it, and the tables tell the truth."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torch.utils.data import default_collate

from lightning_inv.callbacks.report import COLUMNS, as_text, statistics
from lightning_inv.cli import infer
from lightning_inv.constraints import Measurement
from lightning_inv.data import Digits
from lightning_inv.denoisers import EpsilonDenoiser
from lightning_inv.modules import Restoration, Restored
from lightning_inv.networks import TinyNetwork, ZeroNetwork
from lightning_inv.operators import Inpainting
from lightning_inv.priors import save_prior
from lightning_inv.solvers import DDRM, REDDiff, Unconditional

ROOT = Path(__file__).parents[1]
SOLVERS = {"reddiff": 10, "ddrm": 5, "plug_and_play": 10}


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("prior") / "prior.safetensors"
    save_prior(path, EpsilonDenoiser(TinyNetwork(), (1, 8, 8)), {})
    return path


def arguments(prior: Path, folder: Path, *more: str) -> list[str]:
    return [
        f"--model.prior={prior}",
        f"--folder={folder}",
        "--data=Digits",
        "--data.limit=5",
        "--trainer.accelerator=cpu",
        "--trainer.logger=false",
        "--trainer.enable_progress_bar=false",
        *(f"--model.solvers.{name}.steps={steps}" for name, steps in SOLVERS.items()),
        *more,
    ]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def comparable(folder: Path) -> list[dict[str, str]]:
    """The rows without their times."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows(folder)]


def pixels(folder: Path, solver: str) -> Tensor:
    files = sorted((folder / solver).glob("*.png"))
    return torch.stack([torch.tensor(list(Image.open(file).tobytes())) for file in files])


def assert_same(one: Path, other: Path) -> None:
    for a, b in zip(comparable(one), comparable(other), strict=True):
        for key in a:
            if key in ("index", "name", "solver"):
                assert a[key] == b[key]
            else:
                assert float(a[key]) == pytest.approx(float(b[key]), abs=1e-4)
    for solver in SOLVERS:
        assert (pixels(one, solver) - pixels(other, solver)).abs().max() <= 1  # a rounded grey level


@pytest.fixture(scope="module")
def straight(prior: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("straight")
    infer(arguments(prior, folder, "--data.batch_size=5"))
    return folder


def test_every_image_and_solver_has_a_row_and_a_picture(straight: Path) -> None:
    assert [(row["index"], row["solver"]) for row in rows(straight)] == [
        (str(i), solver) for i in range(5) for solver in SOLVERS
    ]
    for folder in ("truth", "measurement", *SOLVERS):
        assert len(list((straight / folder).glob("*.png"))) == 5
    assert len(list((straight / "grids").glob("*.png"))) == 1
    assert (straight / "config.yaml").exists()


def test_evaluations_are_those_of_the_method(straight: Path) -> None:
    solvers = json.loads((straight / "summary.json").read_text())["solvers"]
    counts = {name: measures["evaluations"]["mean"] for name, measures in solvers.items()}
    assert counts == {"reddiff": 10, "ddrm": 5, "plug_and_play": 20}


def test_summary_is_the_mean_of_the_rows(straight: Path) -> None:
    values = torch.tensor([float(row["psnr"]) for row in rows(straight) if row["solver"] == "ddrm"])
    summary = json.loads((straight / "summary.json").read_text())["solvers"]["ddrm"]["psnr"]
    assert summary["mean"] == pytest.approx(float(values.mean()), rel=1e-5)
    assert summary["standard_error"] == pytest.approx(float(values.std() / 5**0.5), rel=1e-4)


def test_a_single_image_has_no_standard_error() -> None:
    assert statistics([2.0]) == {"mean": 2.0, "standard_error": None}
    told = {"ddrm": dict.fromkeys(COLUMNS, statistics([2.0]))}
    assert "+-" not in as_text({"solvers": told})


@pytest.mark.parametrize("size", [1, 2, 16])
def test_batch_size_does_not_change_results(prior: Path, straight: Path, size: int, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path, f"--data.batch_size={size}"))
    assert_same(straight, tmp_path)


def test_fewer_images_are_the_first_of_many(prior: Path, straight: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path, "--data.limit=2"))
    assert len(rows(tmp_path)) == 2 * len(SOLVERS)
    for a, b in zip(comparable(tmp_path), comparable(straight), strict=False):
        assert float(a["psnr"]) == pytest.approx(float(b["psnr"]), abs=1e-4)


def test_another_solver_changes_nothing(prior: Path, straight: Path, tmp_path: Path) -> None:
    only = '{"ddrm": {"class_path": "DDRM", "init_args": {"steps": 5}}}'
    words = [word for word in arguments(prior, tmp_path) if not word.startswith("--model.solvers")]
    infer([*words, f"--model.solvers={only}"])
    alone = {row["index"]: float(row["psnr"]) for row in rows(tmp_path)}
    beside = {row["index"]: float(row["psnr"]) for row in rows(straight) if row["solver"] == "ddrm"}
    assert alone == pytest.approx(beside, abs=1e-4)


def test_what_is_missing_alone_is_computed(prior: Path, straight: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path, "--data.batch_size=2"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "records").glob("*.json")}
    gone = tmp_path / "records" / "000003.json"
    gone.unlink()
    infer(arguments(prior, tmp_path, "--data.batch_size=2"))
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "records").glob("*.json")}
    assert {path for path in after if after[path] != before[path]} == {gone}
    assert_same(straight, tmp_path)


def test_a_finished_run_is_only_reported(prior: Path, straight: Path, capsys: pytest.CaptureFixture) -> None:
    before = {path: path.stat().st_mtime_ns for path in straight.rglob("*.png")}
    capsys.readouterr()
    infer(arguments(prior, straight, "--data.batch_size=5"))
    assert {path: path.stat().st_mtime_ns for path in straight.rglob("*.png")} == before
    assert "reddiff" in capsys.readouterr().out


def test_results_of_other_settings_are_not_mixed(
    prior: Path, straight: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        infer(arguments(prior, straight, "--model.measurement.sigma=0.3"))
    assert "differs in: sigma" in capsys.readouterr().err


def test_overwrite_begins_anew(prior: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path))
    infer(arguments(prior, tmp_path, "--model.measurement.sigma=0.3", "--output.overwrite=true"))
    assert json.loads((tmp_path / "summary.json").read_text())["sigma"] == 0.3


def test_killed_run_goes_on(prior: Path, straight: Path, tmp_path: Path) -> None:
    """Kill -9 once the first records are there; nothing half-written is taken for done."""
    command = [sys.executable, str(ROOT / "infer.py"), *arguments(prior, tmp_path, "--data.batch_size=1")]
    slow = [*command, "--model.solvers.reddiff.steps=300"]
    straight_slow = tmp_path / "straight"
    process = subprocess.Popen(slow, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    records = tmp_path / "records"
    while process.poll() is None and len(list(records.glob("*.json"))) < 2:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in records.glob("*.json")}
    assert 2 <= len(done) < 5
    (tmp_path / "ddrm" / ".digit0009.png.1.part").write_bytes(b"half")
    (tmp_path / "runs" / "of another process").mkdir(parents=True)
    (tmp_path / "runs" / "of another process" / ".last.ckpt.1.part").write_bytes(b"half")

    more = ("--data.batch_size=2", "--model.solvers.reddiff.steps=300")
    infer(arguments(prior, tmp_path, *more))
    infer(arguments(prior, straight_slow, *more))
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    assert [part.name for part in tmp_path.rglob("*.part")] == [".last.ckpt.1.part"]
    assert_same(tmp_path, straight_slow)


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


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Three degraded images, their masks and the truth."""
    for i in range(3):
        for folder in ("seen", "masks", "whole"):
            (tmp_path / folder / "sub").mkdir(parents=True, exist_ok=True)
        truth = torch.randint(0, 256, (8, 8), dtype=torch.uint8)
        mask = torch.rand(8, 8) < 0.5
        Image.fromarray(truth.numpy()).save(tmp_path / "whole" / "sub" / f"{i}.png")
        Image.fromarray((mask * 255).to(torch.uint8).numpy()).save(tmp_path / "masks" / "sub" / f"{i}.png")
        Image.fromarray(torch.where(mask, truth, 0).numpy()).save(tmp_path / "seen" / "sub" / f"{i}.png")
    return tmp_path


def measured(prior: Path, folder: Path, photographs: Path, *more: str) -> list[str]:
    return [
        *arguments(prior, folder)[:2],
        "--data=MeasurementFolder",
        f"--data.root={photographs / 'seen'}",
        "--data.channels=1",
        *arguments(prior, folder)[4:],
        "--model.measurement.operator=Inpainting",
        "--model.measurement.operator.mask=MaskFolder",
        f"--model.measurement.operator.mask.folder={photographs / 'masks'}",
        *more,
    ]


def test_measured_images_are_restored_as_given(prior: Path, photographs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    infer(measured(prior, folder, photographs))
    assert {row["name"] for row in rows(folder)} == {"sub/0", "sub/1", "sub/2"}
    assert {row["psnr"] for row in rows(folder)} == {""}
    assert all(float(row["consistency"]) > 0 for row in rows(folder))
    assert len(list((folder / "ddrm" / "sub").glob("*.png"))) == 3


def test_hidden_pixels_of_measured_images_are_not_looked_at(
    prior: Path, photographs: Path, tmp_path: Path
) -> None:
    infer(measured(prior, tmp_path / "black", photographs))
    for i in range(3):
        path = photographs / "seen" / "sub" / f"{i}.png"
        mask = (
            torch.tensor(list(Image.open(photographs / "masks" / "sub" / f"{i}.png").tobytes())).view(8, 8)
            > 0
        )
        seen = torch.tensor(list(Image.open(path).tobytes())).view(8, 8)
        Image.fromarray(torch.where(mask, seen, 200).to(torch.uint8).numpy()).save(path)
    infer(measured(prior, tmp_path / "bright", photographs))
    assert comparable(tmp_path / "black") == comparable(tmp_path / "bright")


def test_measured_images_with_a_truth_are_scored(prior: Path, photographs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    infer(measured(prior, folder, photographs, f"--data.truth={photographs / 'whole'}"))
    assert all(float(row["psnr"]) > 0 for row in rows(folder))


def test_measurement_of_another_size_than_the_operator_makes_is_refused(
    prior: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [
        word
        for word in measured(prior, tmp_path / "out", photographs)
        if not word.startswith("--model.measurement")
    ]
    with pytest.raises(SystemExit):
        infer([*words, "--model.measurement.operator=BlockAverage"])
    assert "measurements have shape (1, 8, 8), but the operator makes (1, 2, 2)" in capsys.readouterr().err


def test_order_does_not_change_results(prior: Path) -> None:
    model = Restoration(
        str(prior), {"ddrm": DDRM(steps=5), "reddiff": REDDiff(steps=5)}, Measurement(Inpainting(), 0.1)
    )
    images, order = Digits(limit=4).selected(), [2, 0, 3, 1]

    def restore(indices: list[int]) -> Restored:
        return model.predict_step(default_collate([images[i] for i in indices]), 0)

    straight, shuffled = restore([0, 1, 2, 3]), restore(order)
    for name, solution in straight.solutions.items():
        other = shuffled.solutions[name].samples
        torch.testing.assert_close(other, solution.samples[:, order], atol=1e-5, rtol=1e-4)


def test_damaged_record_is_computed_again(prior: Path, straight: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path))
    record = tmp_path / "records" / "000001.json"
    record.write_bytes(record.read_bytes()[:40])
    infer(arguments(prior, tmp_path))
    assert_same(straight, tmp_path)


def test_results_without_a_manifest_are_not_trusted(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    infer(arguments(prior, tmp_path))
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(SystemExit):
        infer(arguments(prior, tmp_path, "--model.measurement.sigma=0.5"))
    assert "holds results of another run" in capsys.readouterr().err


def test_overwrite_leaves_no_old_picture(prior: Path, tmp_path: Path) -> None:
    infer(arguments(prior, tmp_path))
    infer(arguments(prior, tmp_path, "--data.limit=2", "--model.seed=3", "--output.overwrite=true"))
    assert len(list((tmp_path / "ddrm").glob("*.png"))) == 2
    assert len(list((tmp_path / "truth").glob("*.png"))) == 2


def test_changed_image_of_the_same_size_is_another_run(
    prior: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    infer(measured(prior, tmp_path / "out", photographs))
    for path in (photographs / "masks" / "sub").glob("*.png"):
        Image.new("L", (8, 8), 255).save(path)
    with pytest.raises(SystemExit):
        infer(measured(prior, tmp_path / "out", photographs))
    assert "differs in: masks" in capsys.readouterr().err


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
        (["--model.solvers.truth=PseudoInverse"], "'truth' is the name of a folder of results"),
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


def test_random_mask_is_refused_for_measured_images(
    prior: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [word for word in measured(prior, tmp_path / "out", photographs) if "measurement" not in word]
    with pytest.raises(SystemExit):
        infer(words)
    assert "would be drawn at random, but the images were measured already" in capsys.readouterr().err


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
