"""Generation that constraints alone lead, by the command line."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from helpers import refusal
from torch import Tensor

from lightning_inv.cli import CONFIGS, infer
from lightning_inv.constraints import Classifier, Symmetry
from lightning_inv.data import MeasurementFolder
from lightning_inv.networks import ConvClassifier

QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.logger=false"]


def words(folder: Path, name: str, **changes: Any) -> list[str]:
    """A run of a problem with changes of its solver."""
    tree = {"include": str(CONFIGS / "problems" / f"{name}.yaml")}
    tree |= {"model": {"solvers": {"plug_and_play": {"init_args": changes}}}}
    (folder / "run.yaml").write_text(yaml.safe_dump(tree))
    return [f"--config={folder / 'run.yaml'}", f"--folder={folder / 'out'}", "--data.count=4", *QUIET]


def images(folder: Path, name: str, **changes: Any) -> Tensor:
    """What a short run makes, shape ``(4, 1, 32, 32)``."""
    folder.mkdir()
    infer(words(folder, name, steps=60, **changes))
    found = MeasurementFolder(str(folder / "out" / "plug_and_play"), channels=1).selected()
    return torch.stack([item["measurement"] for item in found])


def test_a_classifier_leads_to_its_class(tmp_path: Path) -> None:
    boots = images(tmp_path / "boots", "garment")
    guide = Classifier(ConvClassifier(), 9, "fashion_mnist_classifier")
    assert (guide(boots).neg().exp() > 0.5).all()


def test_symmetry_is_what_was_asked_for(tmp_path: Path) -> None:
    runs = {"symmetric": {}, "asymmetric": {}, "free": {"terms": {"mirror": {"weight": 0.0}}}}
    found = {
        name: images(tmp_path / name, "symmetric" if name == "free" else name, **change)
        for name, change in runs.items()
    }
    energy = {name: float(Symmetry().per_entry(x, None).mean()) for name, x in found.items()}
    assert energy["symmetric"] < energy["free"] / 4
    assert energy["asymmetric"] > energy["free"] * 1.5


def test_another_term_is_another_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    infer(words(tmp_path, "garment", steps=1))
    said = refusal(infer, words(tmp_path, "garment", steps=1, terms={"garment": {"weight": 0.2}}), capsys)
    assert "holds results of another run, which differs in: solvers" in said


def test_flags_do_not_change_terms(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    flag = "--model.solvers.plug_and_play.terms.garment.weight=0.2"
    said = refusal(infer, [*words(tmp_path, "garment"), flag], capsys)
    assert "terms cannot be changed by flags: write a YAML file that includes the other one" in said
