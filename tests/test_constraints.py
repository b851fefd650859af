"""Constraints, their energies, and the views that they have of an image."""

from pathlib import Path

import pytest
import torch
from conftest import SHAPE, images
from safetensors.torch import save_file

from lightning_inv.constraints import (
    Augmented,
    Classifier,
    Clipped,
    Constraint,
    Measurement,
    Plain,
    Symmetry,
    View,
)
from lightning_inv.constraints.views import blurred
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import BlockAverage, Grayscale, HighDynamicRange, Identity, Inpainting, Operator

OPERATORS = [Identity(), Inpainting(), BlockAverage(4), Grayscale(), HighDynamicRange()]


def stream(count: int) -> NoiseStream:
    return NoiseStream.of(0, range(count), "measurement")


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda A: type(A).__name__)
@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_noise_has_the_declared_size_where_something_is_seen(operator: Operator, sigma: float) -> None:
    measurement = Measurement(operator, sigma).prepare(images(400))
    x = torch.rand(400, *SHAPE) - 0.5
    y = measurement.observe(x, stream(400))
    found = measurement.residual(x, y).square().sum() / measurement.operator.observed(y).expand_as(y).sum()
    assert float(found.sqrt()) == pytest.approx(sigma, rel=0.03)
    assert float(measurement.consistency(x, y).square().mean()) == pytest.approx(float(sigma > 0), rel=0.05)


def test_energy_is_half_the_squared_distance_summed() -> None:
    measurement = Measurement(BlockAverage(4), 0.3).prepare(images(4))
    x, y = torch.randn(4, *SHAPE), torch.randn(4, 3, 2, 2)
    expected = (y - measurement.operator(x)).square().flatten(1).sum(1) / 2
    torch.testing.assert_close(measurement(x, y), expected)


def test_hidden_pixels_cost_nothing() -> None:
    measurement = Measurement(Inpainting(), 0.1).prepare(images(2))
    x, y = torch.randn(2, *SHAPE), torch.randn(2, *SHAPE)
    hidden = 1 - measurement.operator.s
    torch.testing.assert_close(measurement(x, y), measurement(x + 5 * hidden, y - 7 * hidden))


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf")])
def test_impossible_noise_is_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma must be a number of at least 0"):
        Measurement(Identity(), sigma)


# Symmetry


@pytest.mark.parametrize(("axis", "dim"), [("left_right", -1), ("up_down", -2)])
def test_symmetric_images_cost_nothing(axis: str, dim: int) -> None:
    x = torch.randn(3, *SHAPE)
    assert (Symmetry(axis)(x) > 1).all()
    assert not Symmetry(axis)(x + x.flip(dim)).any()


def test_broken_symmetry_is_the_contrary() -> None:
    x = torch.randn(3, *SHAPE)
    assert torch.equal(Symmetry(broken=True)(x), -Symmetry()(x))


def test_an_unknown_axis_is_refused() -> None:
    with pytest.raises(ValueError, match=r"axis must be one of left_right, up_down, got 'diagonal'"):
        Symmetry("diagonal")


# Classifiers


class Linear(torch.nn.Sequential):
    """Log-probabilities by multinomial regression."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(192, classes), torch.nn.LogSoftmax(1))


def test_a_classifier_pulls_by_its_closed_form() -> None:
    """The gradient of -log p(k | x) of multinomial regression is W^T (p - e_k)."""
    network = Linear()
    x = torch.randn(4, *SHAPE, requires_grad=True)
    (pull,) = torch.autograd.grad(Classifier(network, 2)(x, None).sum(), x)
    error = network(x).exp() - torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(pull.flatten(1), error @ network[1].weight)


def test_a_classifier_reads_its_weights(tmp_path: Path) -> None:
    saved = Linear()
    save_file(saved.state_dict(), tmp_path / "weights.safetensors")
    x = torch.randn(2, *SHAPE)
    loaded = Classifier(Linear(), 1, str(tmp_path / "weights.safetensors"))
    assert torch.equal(loaded(x), Classifier(saved, 1)(x))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_weights_of_another_classifier_are_refused(tmp_path: Path) -> None:
    save_file(Linear(4).state_dict(), tmp_path / "four.safetensors")
    with pytest.raises(ValueError, match=r"four\.safetensors does not hold weights of Linear: .*1\.weight"):
        Classifier(Linear(), 1, str(tmp_path / "four.safetensors"))
    with pytest.raises(FileNotFoundError, match=r"no file of weights nowhere\.safetensors"):
        Classifier(Linear(), 1, "nowhere.safetensors")


@pytest.mark.parametrize(
    ("network", "label", "message"),
    [
        (Linear(), 3, r"K above the label 3, got \(1, 3\)"),
        (torch.nn.Flatten(), 3, "exponentials sum to"),
        (torch.nn.Identity(), 0, r"got \(1, 3, 8, 8\) for one image"),
        (torch.nn.Linear(5, 5), 0, r"does not take images of shape \(3, 8, 8\)"),
    ],
    ids=["label", "no probabilities", "no classes", "other size"],
)
def test_what_is_no_classifier_is_refused(network: torch.nn.Module, label: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Classifier(network, label).check(SHAPE)


# Views


def rng(count: int, first: int = 0) -> NoiseStream:
    return NoiseStream.of(0, range(first, first + count), "views")


@pytest.mark.parametrize("view", [Plain(), Clipped(), Augmented()], ids=repr)
def test_a_view_does_not_depend_on_the_batch(view: View) -> None:
    x = torch.randn(3, *SHAPE)
    together = torch.stack(view(x, rng(3)))
    singles = torch.cat([torch.stack(view(x[i : i + 1], rng(1, i))) for i in range(3)], 1)
    torch.testing.assert_close(together, singles)


def test_views_show_what_they_say() -> None:
    x = 2 * torch.randn(3, *SHAPE)
    assert torch.equal(Plain()(x, rng(3))[0], x)
    assert torch.equal(Clipped()(x, rng(3))[0], x.clamp(-1, 1))
    assert len(Augmented(copies=5)(x, rng(3))) == 5


def test_copies_are_mirrored_lightened_and_blurred() -> None:
    x = torch.rand(1, *SHAPE).expand(200, -1, -1, -1) - 0.5
    (flipped,) = Augmented(1, flip=0.5, lighten=0.0, blur=0.0)(x, rng(200))
    same, mirrored = (((flipped - one).abs().amax((1, 2, 3)) < 1e-6) for one in (x, x.flip(-1)))
    assert (same ^ mirrored).all()
    assert 0.4 < float(mirrored.float().mean()) < 0.6
    (light,) = Augmented(1, flip=0.0, lighten=0.2, blur=0.0)(x, rng(200))
    factor = ((light + 1) / (x + 1)).flatten(1)
    torch.testing.assert_close(factor.amax(1), factor.amin(1))
    assert 0.4 < float((factor[:, 0] - 1).abs().gt(1e-6).float().mean()) < 0.6
    assert 0.15 < float((factor - 1).abs().max()) <= 0.2 + 1e-6
    (soft,) = Augmented(1, flip=0.0, lighten=0.0, blur=5.0)(x, rng(200))
    assert 0.4 < float(((soft - x).abs().amax((1, 2, 3)) > 1e-6).float().mean()) < 0.6


@pytest.mark.parametrize("std", [0.0, 0.7, 3.0])
def test_copies_are_blurred_by_a_gaussian_of_seven_taps(std: float) -> None:
    x = torch.zeros(1, 1, 15, 15)
    x[..., 7, 7] = 1.0
    found = blurred(x, torch.full((1, 1, 1, 1), std))[0, 0]
    place = torch.arange(-3.0, 4.0)
    taps = (-(place**2) / (2 * max(std, 1e-3) ** 2)).exp()
    expected = torch.nn.functional.pad(torch.outer(taps, taps) / taps.sum() ** 2, (4, 4, 4, 4))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("settings", [{"copies": 0}, {"flip": 1.5}, {"lighten": 2.0}, {"blur": -1.0}])
def test_copies_out_of_range_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match="Augmented needs copies of at least 1"):
        Augmented(**settings)


# All


CONSTRAINTS = [Symmetry(), Symmetry("up_down", broken=True), Classifier(Linear(), 1)]


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda c: str(c.recipe["init_args"]))
def test_a_constraint_gives_one_energy_an_image(constraint: Constraint) -> None:
    x = torch.randn(3, *SHAPE)
    constraint.check(SHAPE)
    together, singles = constraint(x, None), torch.cat([constraint(one[None], None) for one in x])
    assert together.shape == (3,)
    torch.testing.assert_close(together, singles)


def test_a_mean_of_pixels_does_not_change_with_their_number() -> None:
    """Weights carry over to larger images."""
    x = torch.randn(2, *SHAPE)
    large = torch.cat([x, x], -2)
    torch.testing.assert_close(Symmetry().per_entry(large, None), Symmetry().per_entry(x, None))
    y = torch.randn(2, *SHAPE)
    measurement = Measurement(Identity(), 0.1)
    torch.testing.assert_close(
        measurement.per_entry(large, torch.cat([y, y], -2)), measurement.per_entry(x, y)
    )


class Crowd(Symmetry):
    """Gives one energy a batch."""

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return super().forward(x, y).mean()


def test_an_energy_of_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Crowd must give one energy an image, shape \(3,\), got \(\)"):
        Crowd().per_entry(torch.randn(3, *SHAPE), None)


def test_a_classifier_of_nan_is_refused() -> None:
    network = Linear()
    network[1].weight.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="exponentials sum to nan"):
        Classifier(network, 1).check(SHAPE)
