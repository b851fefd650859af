"""Operators and noise by the command line: a run of infer.py with each, on digits."""

from pathlib import Path

import pytest
from helpers import refusal

from lightning_inv.cli import infer

OPERATORS = [
    "BicubicDownsampling",
    "WalshHadamard",
    "AntialiasedResize",
    "Radon --model.measurement.operator.angles 6",
    "CircularBlur --model.measurement.operator.spread MotionSpread"
    " --model.measurement.operator.spread.size 5",
    "Inpainting --model.measurement.operator.mask InverseMask --model.measurement.operator.mask.mask.height 3"
    " --model.measurement.operator.mask.mask.width 3",
    "LinearComposition --model.measurement.operator.outer BlockAverage"
    " --model.measurement.operator.inner SeparableBlur",
    "JPEG",
    "PhaseRetrieval",
    "Quantization",
]
QUIET = "--trainer.accelerator=cpu --trainer.logger=false --trainer.enable_progress_bar=false"
NOISES = ["VaryingNoise", "PoissonNoise", "PoissonGaussianNoise", "SaltAndPepper"]


def words_of(prior: Path, folder: Path, more: str) -> list[str]:
    """Two digits by a few steps of RED-diff."""
    (folder / "solver.yaml").write_text("model: {solvers: {reddiff: {class_path: REDDiff}}}\n")
    data = f"--model.prior={prior} --data=Digits --data.limit=2 --config={folder / 'solver.yaml'}"
    steps = f"--model.solvers.reddiff.steps=3 --folder={folder / 'out'}"
    return f"{data} {steps} {QUIET} {more}".split()


@pytest.mark.parametrize("words", OPERATORS, ids=lambda words: words.split()[0])
def test_operator_runs(words: str, prior: Path, tmp_path: Path) -> None:
    found = infer(words_of(prior, tmp_path, f"--model.measurement.operator {words}"))
    assert found["solvers"]["reddiff"]["psnr"]["mean"] > -20


@pytest.mark.parametrize("noise", NOISES)
def test_noise_runs(noise: str, prior: Path, tmp_path: Path) -> None:
    found = infer(words_of(prior, tmp_path, f"--model.measurement.sigma 0 --model.measurement.noise {noise}"))
    assert found["noise"]["class_path"].endswith(noise)
    assert found["solvers"]["reddiff"]["consistency"]["mean"] is not None


def test_noise_beside_sigma_is_refused(prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = "--model.measurement.sigma 0.1 --model.measurement.noise PoissonNoise"
    said = refusal(infer, words_of(prior, tmp_path, words), capsys)
    assert "leave it out with PoissonNoise, got 0.1." in said
