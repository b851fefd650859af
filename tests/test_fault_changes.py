"""Faults of runs that go on: what decides a result was changed meanwhile, and nothing is mixed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import refusal
from PIL import Image

from lightning_inv.callbacks.own_code import code_digests
from lightning_inv.cli import infer
from lightning_inv.files import file_digest
from lightning_inv.operators.masks import MaskFolder

pytestmark = pytest.mark.faults


def mask(path: Path, grey: int = 255) -> Path:
    """Writes a mask of 8 x 8 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), grey).save(path)
    return path


# Masks


def test_a_mask_changed_in_a_folder_by_way_of_a_link_is_noticed(tmp_path: Path) -> None:
    changed = mask(tmp_path / "real" / "deep" / "a.png")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "s").symlink_to(tmp_path / "real")
    before = MaskFolder(str(tmp_path / "masks")).fingerprint()
    mask(changed, 0)
    assert MaskFolder(str(tmp_path / "masks")).fingerprint() != before


def test_links_of_masks_that_change_places_are_noticed(tmp_path: Path) -> None:
    root = tmp_path / "masks"
    for name, grey in (("a", 0), ("b", 255)):
        mask(root / name / "0.png", grey)
    (root / "c").symlink_to(root / "a")
    before = MaskFolder(str(root)).fingerprint()
    (root / "c").unlink()
    (root / "c").symlink_to(root / "b")
    assert MaskFolder(str(root)).fingerprint() != before


def test_masks_whose_links_lead_in_a_circle_are_looked_at_once(tmp_path: Path) -> None:
    file = mask(tmp_path / "a" / "0.png")
    for name in ("a", "b"):
        (tmp_path / name).mkdir(exist_ok=True)
        for other in ("a", "b", "."):
            (tmp_path / name / f"to_{other}").symlink_to(tmp_path / other)
    told = MaskFolder(str(tmp_path)).fingerprint()
    assert ["a/0.png", file_digest(file)] in told
    assert len(told) == 7


def test_masks_without_links_are_told_as_in_manifests_of_old(tmp_path: Path) -> None:
    files = [mask(tmp_path / name, grey) for grey, name in enumerate(["a/b/0.png", "a/1.png", "a-b.png"])]
    expected = [[file.relative_to(tmp_path).as_posix(), file_digest(file)] for file in sorted(files)]
    assert MaskFolder(str(tmp_path)).fingerprint() == expected


# Code of the user

OWN = """
from dataclasses import dataclass
from lightning_inv.operators import Identity
from lightning_inv.solvers import Solver

class Level:
    def level(self, problem):
        return problem.noise() * 0 + 0.5

@dataclass(frozen=True)
class Mine(Level, Solver):
    steps: int = 1
    def iterates(self, problem):
        yield self.level(problem)

class Doubled(Identity):
    gain = 2
"""
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.logger=false"]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of the user with a solver and an operator."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "own_parts.py"
    path.write_text(OWN)
    yield path
    sys.modules.pop("own_parts", None)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("yield self", "yield -self", "differs in: the code of own_parts.Mine."),
        ("0 + 0.5", "0 - 0.5", "differs in: the code of own_parts.Mine."),
        ("gain = 2", "gain = 3", "differs in: the code of own_parts.Doubled."),
    ],
    ids=["solver", "class that it inherits from", "operator"],
)
def test_results_of_other_code_are_not_mixed(
    prior: Path, own: Path, old: str, new: str, said: str, capsys: pytest.CaptureFixture
) -> None:
    (own.parent / "solvers.yaml").write_text("model: {solvers: {mine: {class_path: own_parts.Mine}}}")
    words = [
        *(f"--config={own.parent / 'solvers.yaml'}", f"--folder={own.parent / 'run'}", "--data=Digits"),
        *(f"--model.prior={prior}", "--packages=[own_parts]", *QUIET),
        "--model.measurement.operator=own_parts.Doubled",
    ]
    infer([*words, "--data.limit=1"])
    infer([*words, "--data.limit=2"])
    del sys.modules["own_parts"]
    own.write_text(own.read_text().replace(old, new))
    assert said in " ".join(refusal(infer, [*words, "--data.limit=3"], capsys).split())


def test_manifests_of_our_own_classes_hold_no_code(finished: Path) -> None:
    assert not [key for key in json.loads((finished / "manifest.json").read_text()) if "code" in key]


def test_texts_that_are_no_paths_of_classes_of_the_user_have_no_code() -> None:
    ours = ["lightning_inv.solvers.DDRM", "torch.nn.Linear", "pathlib.Path", "collections.abc.Mapping"]
    assert not code_digests(
        [*ours, "", ".", "a.b", "own.Mine", "." * 100_000, "pytest.mark", "json.no.Thing"]
    )
