"""The script that trains variants of the prior of photographs, in miniature."""

from pathlib import Path

import pytest
import torch
import yaml
from pictures import noise_pictures

from lightning_inv.cli import CONFIGS, TrainCommandLine
from lightning_inv.command_line import merged
from lightning_inv.denoisers import GaussianDenoiser
from lightning_inv.modules import PriorTraining
from lightning_inv.schedules import CosineSchedule, LinearSchedule

ROOT = Path(__file__).parents[1]
NETWORK = "--model.denoiser.init_args.network.init_args"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def test_an_ablation_compares_variants_with_the_base(tmp_path: Path) -> None:
    import ablation

    page, folder, root = tmp_path / "page.md", tmp_path / "runs", noise_pictures(tmp_path / "pictures")
    words = ["--root", root, "--steps", "2", "--size", "16", "--limit", "2", "--folder", str(folder)]
    words += ["--page", str(page), "--variants", "linear schedule", f"{NETWORK}.widths", "[8,8]"]
    words += [f"{NETWORK}.depths", "[1,1]", "--data.val_crops", "2", "--data.sides", "[16]"]
    words += ["--data.size", "16", "--data.batch_size", "2", "--model.lr_scheduler.warmup", "0"]
    words += ["--trainer.accelerator", "cpu", "--trainer.logger", "false"]
    words += ["--trainer.enable_progress_bar", "false", "--trainer.precision", "32"]
    ablation.main(words)
    text = page.read_text()
    assert text.count("\n| base | ") == text.count("\n| linear schedule | ") == 1
    assert "2 crops of 16 x 16 pixels" in text
    (base,) = (line for line in text.splitlines() if line.startswith("| base"))
    (linear,) = (line for line in text.splitlines() if line.startswith("| linear"))
    assert base.count("(") == 0
    assert linear.count("(") == 4  # differences from the base
    page.unlink()
    (folder / "linear_schedule" / "ablation.json").unlink()  # as if it had been interrupted
    ablation.main(words)
    assert page.read_text() == text
    words[words.index("2")] = "3"
    with pytest.raises(ValueError, match="is of 2 steps, not 3"):
        ablation.main(words)


def test_every_variant_can_be_built(tmp_path: Path) -> None:
    import ablation

    config = tmp_path / "variant.yaml"
    words = ["--config", str(config), "--trainer.accelerator", "cpu", "--trainer.logger", "false"]
    words += [f"{NETWORK}.widths", "[8,8]", f"{NETWORK}.depths", "[1,1]"]
    built = {}
    for variant in ablation.VARIANTS:
        config.write_text(yaml.safe_dump(ablation.configuration(variant)))
        with merged(CONFIGS / "train.yaml", words) as path:
            built[variant] = Path(path).read_text()
        cli = TrainCommandLine(PriorTraining, CONFIGS / "train.yaml", words)
        assert cli.model.denoiser.shape == (3, None, None), variant
    assert len(set(built.values())) == len(built)  # none is another by mistake


def test_eps_errors_are_at_the_same_noises_whatever_the_schedule() -> None:
    from ablation import LEVELS, eps_errors

    x = torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mean, covariance = torch.zeros(3, 4, 4), torch.eye(48)
    priors = (GaussianDenoiser(mean, covariance, kind()) for kind in (CosineSchedule, LinearSchedule))
    errors = [eps_errors(prior, x) for prior in priors]
    assert errors[0].shape == (LEVELS, 4)
    assert (errors[0].diff(dim=0).mean(1) < 0).all()  # the least noise first: it is the hardest to tell
    torch.testing.assert_close(*errors, rtol=0.05, atol=0.01)
