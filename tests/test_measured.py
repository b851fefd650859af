"""A user's degraded images are restored as they are."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from restorations import arguments, comparable, rows

from lightning_inv.cli import infer


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


def test_random_mask_is_refused_for_measured_images(
    prior: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [word for word in measured(prior, tmp_path / "out", photographs) if "measurement" not in word]
    with pytest.raises(SystemExit):
        infer(words)
    assert "would be drawn at random, but the images were measured already" in capsys.readouterr().err


def test_results_with_other_masks_are_another_run(
    prior: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    infer(measured(prior, tmp_path / "out", photographs))
    for path in (photographs / "masks" / "sub").glob("*.png"):
        Image.new("L", (8, 8), 255).save(path)
    with pytest.raises(SystemExit):
        infer(measured(prior, tmp_path / "out", photographs))
    assert "differs in: files" in capsys.readouterr().err
