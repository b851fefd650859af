"""Images of several sizes are restored by a prior of any size, each at its own."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import refusal, tiny_prior
from pictures import write
from PIL import Image
from restorations import comparable
from test_loaders import attached

from lightning_inv.cli import infer
from lightning_inv.constraints import Classifier, Measurement
from lightning_inv.data import Photographs, shapes_of
from lightning_inv.modules import Restoration
from lightning_inv.modules.shapes import image_shape
from lightning_inv.networks import ConvClassifier
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import (
    BlockAverage,
    Clipping,
    Composition,
    Identity,
    Inpainting,
    Operator,
    SeparableBlur,
    Stack,
)
from lightning_inv.priors import save_prior
from lightning_inv.solvers import DDRM, PlugAndPlay, Problem, Term

SIZES = {"a": (12, 20), "b": (16, 8), "c": (12, 20), "d": (20, 12)}
ANY = (3, None, None)


@pytest.fixture(scope="session")
def prior_of_any_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("any") / "prior.safetensors"
    torch.manual_seed(0)
    save_prior(path, tiny_prior(ANY), {})
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of three sizes."""
    for name, size in SIZES.items():
        pixels = torch.randint(0, 256, (*size, 3), dtype=torch.uint8)
        write(tmp_path / "pictures" / f"{name}.png", Image.fromarray(pixels.numpy()))
    return tmp_path / "pictures"


def words(prior: Path, path: Path, out: Path, *more: str) -> list[str]:
    return [
        f"--model.prior={prior}",
        "--data=Photographs",
        f"--data.path={path}",
        f"--folder={out}",
        '--model.solvers={"ddrm": {"class_path": "DDRM", "init_args": {"steps": 3}}}',
        "--trainer.accelerator=cpu",
        "--trainer.logger=false",
        "--trainer.enable_progress_bar=false",
        *more,
    ]


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """Height and width of the pictures in a folder."""
    return {path.stem: Image.open(path).size[::-1] for path in sorted(folder.glob("*.png"))}


def test_every_picture_is_restored_at_its_own_size(
    prior_of_any_size: Path, folder: Path, tmp_path: Path
) -> None:
    infer(words(prior_of_any_size, folder, tmp_path / "one"))
    assert sizes(tmp_path / "one" / "ddrm") == SIZES
    infer(words(prior_of_any_size, folder, tmp_path / "two", "--data.batch_size=4"))
    for one, two in zip(comparable(tmp_path / "one"), comparable(tmp_path / "two"), strict=True):
        assert float(one["psnr"]) == pytest.approx(float(two["psnr"]), abs=1e-4)


def test_a_search_is_refused_before_its_first_trial_where_it_must_fail(
    prior_of_any_size: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    said = words(prior_of_any_size, folder, tmp_path / "out", "--model.measurement.operator=BlockAverage")
    space = '{"eta": {"low": 0.1, "high": 1.0}}'
    search = ["--tune.solver=ddrm", f"--tune.space={space}", "--tune.trials=1", "--tune.seed=7"]
    more = ["--data.multiple=1", "--model.measurement.operator.factor=12"]
    assert "factor=12 does not divide images of 12 x 20" in refusal(infer, [*said, *search, *more], capsys)
    assert not (tmp_path / "out").exists()


def test_a_problem_needs_a_prior_that_knows_the_size() -> None:
    with pytest.raises(ValueError, match="a SizedDenoiser tells it one"):
        Problem(None, None, tiny_prior(ANY), NoiseStream.of(0, [0], "solver"))


def test_other_tiles_are_another_run(
    prior_of_any_size: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    said = words(prior_of_any_size, folder / "a.png", tmp_path / "out", "--model.overlap=4")
    infer([*said, "--model.tile=12"])
    assert "differs in: denoiser" in refusal(infer, [*said, "--model.tile=8"], capsys)


def test_a_batch_holds_images_of_one_shape_and_ranks_share_them_all(folder: Path) -> None:
    seen = []
    for rank in range(2):
        data = attached(Photographs(str(folder), batch_size=2), global_rank=rank, world_size=2)
        data.finished = [frozenset({3})]
        seen.append([batch["index"].tolist() for batch in data.predict_dataloader()])
    assert seen == [[[0, 2]], [[1]]]
    data = attached(Photographs(str(folder), batch_size=2))
    assert [batch["index"].tolist() for batch in data.predict_dataloader()] == [[0, 2], [1], [3]]


# What is measured already


@pytest.mark.parametrize(
    ("operator", "measured", "expected"),
    [
        (Identity(), (3, 5, 7), (5, 7)),
        (Inpainting(), (3, 5, 7), (5, 7)),
        (SeparableBlur(), (3, 5, 7), (5, 7)),
        (BlockAverage(4), (3, 5, 7), (20, 28)),
        (Composition(Clipping(), BlockAverage(2)), (3, 5, 7), (10, 14)),
        (Composition(BlockAverage(2), BlockAverage(3)), (3, 5, 7), (30, 42)),
    ],
)
def test_the_size_of_an_image_follows_from_that_of_its_measurement(
    operator: Operator, measured: tuple[int, ...], expected: tuple[int, int]
) -> None:
    shape = image_shape(tiny_prior(ANY), Measurement(operator), {"measurement": measured})
    assert shape == (3, *expected)
    assert operator.measured_shape(shape) == measured


def test_a_measurement_that_does_not_tell_the_size_is_refused() -> None:
    stacked = Measurement(Stack([Identity(), BlockAverage()]))
    with pytest.raises(ValueError, match=r"the data do not tell one: give model.size, \[H, W\]"):
        image_shape(tiny_prior(ANY), stacked, {"measurement": (255,)})


def measured(prior: Path, path: Path, out: Path, operator: str, *more: str) -> list[str]:
    said = words(prior, path, out, f"--model.measurement.operator={operator}", *more)
    return [
        word.replace("Photographs", "MeasurementFolder").replace("data.path", "data.root") for word in said
    ]


@pytest.mark.parametrize(("operator", "factor"), [("Identity", 1), ("BlockAverage", 4)])
def test_degraded_pictures_of_any_size_are_restored(
    prior_of_any_size: Path, folder: Path, tmp_path: Path, operator: str, factor: int
) -> None:
    infer(measured(prior_of_any_size, folder, tmp_path / "out", operator))
    expected = {name: (factor * H, factor * W) for name, (H, W) in SIZES.items()}
    assert sizes(tmp_path / "out" / "ddrm") == expected


def test_a_measurement_that_the_operator_does_not_make_is_refused(
    prior_of_any_size: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    said = measured(prior_of_any_size, folder, tmp_path / "out", "BlockAverage", "--model.size=[48,80]")
    assert "have shape (3, 16, 8), but the operator makes (3, 12, 20)" in refusal(infer, said, capsys)


# What is said before any work


def test_every_size_is_checked_and_not_the_first_alone(
    prior_of_any_size: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write(folder / "last.png", Image.new("RGB", (9, 12)))
    said = words(prior_of_any_size, folder, tmp_path / "out", "--data.multiple=1")
    said += ["--model.measurement.operator=BlockAverage"]
    assert "BlockAverage.factor=4 does not divide images of 12 x 9." in refusal(infer, said, capsys)
    assert not list((tmp_path / "out").rglob("*.png"))


def test_pictures_without_an_image_need_a_size(
    prior_of_any_size: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    said = [
        f"--model.prior={prior_of_any_size}",
        f"--folder={tmp_path}",
        "--data=NoImages",
        "--data.count=1",
        "--model.measurement=null",
        '--model.solvers={"made": {"class_path": "Unconditional", "init_args": {"steps": 2}}}',
        "--trainer.logger=false",
        "--trainer.enable_progress_bar=false",
        "--trainer.accelerator=cpu",
    ]
    assert "give model.size, [H, W]." in refusal(infer, said, capsys)
    infer([*said, "--model.size=[12,20]"])
    assert list(sizes(tmp_path / "made").values()) == [(12, 20)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": (0, 5)}, r"model.size must be positive, got \[0, 5\]"),
        ({"tile": 8}, r"overlap must be in \[0, tile=8\), got 32"),
        ({"tile": 0}, "must be at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Restoration(tiny_prior(ANY), {"ddrm": DDRM()}, Measurement(Identity()), **settings)


def test_a_prior_of_one_size_is_not_given_another() -> None:
    with pytest.raises(ValueError, match=r"one of images of shape \(1, 8, 8\) .*, got shape \(1, 9, 9\)"):
        Restoration(tiny_prior(), {"ddrm": DDRM()}, Measurement(Identity()), size=(9, 9))


class Trained:
    """Stands in for a trainer."""

    precision, predict_loop = "32-true", SimpleNamespace(inference_mode=False)


def test_terms_are_checked_when_the_size_is_known(folder: Path) -> None:
    term = Term(Classifier(ConvClassifier(1), 3))
    model = Restoration(tiny_prior(ANY), {"mine": PlugAndPlay(terms={"term": term})}, Measurement(Identity()))
    model._trainer = Trained()
    with pytest.raises(ValueError, match="the classifier does not take images of shape"):
        model.check(Photographs(str(folder)).selected())


def test_shapes_that_are_told_are_those_of_the_items(folder: Path) -> None:
    for multiple in (1, 5):
        images = Photographs(str(folder), multiple=multiple).selected()
        assert [images.shapes(i) for i in range(4)] == [shapes_of(images[i]) for i in range(4)]
