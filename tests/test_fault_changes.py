"""Faults of runs that go on: what decides a result was changed meanwhile, and nothing is mixed."""

import gzip
import json
import re
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import random_weights, refusal
from PIL import Image
from test_data import garments, idx

from lightning_inv.callbacks.own_code import code_digests
from lightning_inv.cli import infer
from lightning_inv.data.fashion_mnist import read_idx
from lightning_inv.denoisers import EpsilonDenoiser
from lightning_inv.files import file_digest
from lightning_inv.networks import UNet
from lightning_inv.operators.masks import MaskFolder
from lightning_inv.priors import save_prior
from lightning_inv.solvers import Problem, PseudoInverse

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


# Labels

LABELS = "t10k-labels-idx1-ubyte"


def of_classes(folder: Path, classes: int = 10, *more: str) -> list[str]:
    """The words of a run on two garments with a prior of classes."""
    torch.manual_seed(0)
    sizes = {"channel_mult": [1], "num_res_blocks": 1, "attention_resolutions": [], "num_heads": 2}
    network = UNet(image_size=32, model_channels=8, norm_groups=4, num_classes=classes, **sizes)
    save_prior(folder / "c.safetensors", EpsilonDenoiser(random_weights(network), (1, 32, 32)), {})
    (folder / "solvers.yaml").write_text("model: {solvers: {mine: {class_path: DDRM}}}")
    return [
        *(f"--config={folder / 'solvers.yaml'}", f"--model.prior={folder / 'c.safetensors'}", *QUIET),
        *(f"--folder={folder / 'run'}", "--model.solvers.mine.steps=1", "--data=FashionMNIST"),
        *(f"--data.root={folder}", "--data.download=false", "--data.limit=2", *more),
    ]


def test_results_of_other_labels_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    labels = garments(tmp_path, count=4)[LABELS]
    words = of_classes(tmp_path)
    infer(words)
    (tmp_path / LABELS).write_bytes(idx(9 - labels))
    assert "differs in: labels." in " ".join(refusal(infer, words, capsys).split())
    infer([*words, "--model.label=3", f"--folder={tmp_path / 'told'}"])
    (tmp_path / LABELS).write_bytes(idx(labels))
    infer([*words, "--model.label=3", f"--folder={tmp_path / 'told'}"])  # which looks at none


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.arange(3), "holds 3 labels, but {}/t10k-images-idx3-ubyte holds 4 images."),
        (np.array([0, 1, 200, 3]), "holds the label 200, but classes are 0 to 9."),
        (np.zeros((4, 1)), "holds an array of shape [4, 1], expected [N] with N at least 1."),
        (np.zeros(0), "holds an array of shape [0], expected [N] with N at least 1."),
    ],
    ids=["too few", "of no class", "of another shape", "none"],
)
def test_labels_that_do_not_fit_are_told_in_one_sentence(
    tmp_path: Path, labels: np.ndarray, said: str, capsys: pytest.CaptureFixture
) -> None:
    garments(tmp_path, count=4)
    words = of_classes(tmp_path)
    (tmp_path / LABELS).write_bytes(idx(labels))
    told = " ".join(refusal(infer, words, capsys).split())
    assert f"{tmp_path / LABELS} {said.format(tmp_path)}" in told


def test_a_label_beyond_the_classes_of_the_prior_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    garments(tmp_path, count=4)
    words = of_classes(tmp_path, 5)
    (tmp_path / LABELS).write_bytes(idx(np.array([0, 7, 0, 0])))
    told = " ".join(refusal(infer, words, capsys).split())
    assert "the image 't10k00001' has the label 7, but the prior knows the classes 0 to 4." in told


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, 14, 14), "expected [N, 28, 28] with N at least 1."),
        ((0, 28, 28), "expected [N, 28, 28] with N at least 1."),
        ((2352,), "expected [N, 28, 28] with N at least 1."),
    ],
)
def test_garments_of_another_shape_are_told(tmp_path: Path, shape: tuple[int, ...], said: str) -> None:
    (tmp_path / "a").write_bytes(idx(np.zeros(shape)))
    with pytest.raises(ValueError, match=re.escape(f"a holds an array of shape {list(shape)}, {said}")):
        read_idx(tmp_path / "a", (28, 28))


def test_of_a_gzip_bomb_no_more_is_read_than_its_header_tells(tmp_path: Path) -> None:
    bomb, most = tmp_path / "bomb.gz", 2**22
    with gzip.open(bomb, "wb", 1) as file:
        file.write(idx(np.zeros((1, 28, 28))))
        for _ in range(64):
            file.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bomb\.gz is not a complete idx .* more bytes of 784\."):
        read_idx(bomb, (28, 28))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most


@pytest.mark.parametrize("sides", [[2**31, 28, 28], [2**32 - 1] * 255])
def test_an_array_that_its_header_makes_huge_is_not_read(tmp_path: Path, sides: list[int]) -> None:
    header = bytes([0, 0, 8, len(sides)]) + b"".join(side.to_bytes(4, "big") for side in sides)
    (tmp_path / "huge").write_bytes(header)
    with pytest.raises(
        ValueError, match=r"huge tells of an array of shape \[\d+, .* more than 67108864 bytes"
    ):
        read_idx(tmp_path / "huge", (28, 28))


# Pictures


def test_a_measurement_that_changes_its_size_in_mid_run_is_named(
    prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    files, iterates = [mask(tmp_path / "images" / f"{i}.png") for i in range(8)], PseudoInverse.iterates

    def meanwhile(solver: PseudoInverse, problem: Problem) -> Iterator[torch.Tensor]:
        Image.new("L", (8, 6)).save(files[-1])
        return iterates(solver, problem)

    monkeypatch.setattr(PseudoInverse, "iterates", meanwhile)
    (tmp_path / "solvers.yaml").write_text("model: {solvers: {mine: {class_path: PseudoInverse}}}")
    words = [
        *(f"--config={tmp_path / 'solvers.yaml'}", f"--model.prior={prior}", f"--folder={tmp_path / 'run'}"),
        *("--data=MeasurementFolder", f"--data.root={tmp_path / 'images'}", "--data.channels=1", *QUIET),
        *("--data.batch_size=2", "--model.measurement.operator=Identity"),
    ]
    told = " ".join(refusal(infer, words, capsys).split())
    assert f"{files[-1]} has changed while it was in use: it has 6 x 8 pixels, but had 8 x 8." in told
