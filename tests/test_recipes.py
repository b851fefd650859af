"""What a recipe remembers, what it builds and what it refuses to build."""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_inv.denoisers import Denoiser, EpsilonDenoiser, GaussianDenoiser
from lightning_inv.networks import Network, Patched, TinyNetwork, UNet
from lightning_inv.operators import BoxMask, GaussianKernel, Inpainting
from lightning_inv.recipes import build, describe
from lightning_inv.schedules import CosineSchedule, LinearSchedule, Schedule

KINDS = (Denoiser, Network, Schedule)


class Wider(TinyNetwork):
    """A subclass with arguments of its own."""

    def __init__(self, factor: int) -> None:
        super().__init__(width=2 * factor)


class Same(Network):
    """A network without a constructor."""

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return x


class Chain(Network):
    """A network of networks."""

    def __init__(self, parts: list[Network]) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(parts)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        for part in self.parts:
            x = part(x, t, label)
        return x


def recipe(class_path: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": init_args}


TINY = recipe("lightning_inv.networks.tiny.TinyNetwork")


def epsilon(**changes: Any) -> dict[str, Any]:
    """The recipe of a denoiser with some arguments replaced."""
    return recipe(
        "lightning_inv.denoisers.epsilon.EpsilonDenoiser", **{"network": TINY, "shape": [1, 8, 8], **changes}
    )


# Remembering


def test_arguments_are_remembered_by_name_with_defaults() -> None:
    assert TinyNetwork(3).recipe == recipe("lightning_inv.networks.tiny.TinyNetwork", channels=3, width=16)


def test_arguments_are_plain_data() -> None:
    denoiser = EpsilonDenoiser(UNet(8, channel_mult=(1, 2), model_channels=32), (1, 8, 8), CosineSchedule(50))
    assert json.loads(json.dumps(denoiser.recipe)) == denoiser.recipe


def test_objects_within_objects_are_remembered() -> None:
    arguments = Patched(TinyNetwork(4, 8), patch=2).recipe["init_args"]
    assert arguments == {"network": TinyNetwork(4, 8).recipe, "patch": 2}


def test_a_subclass_remembers_its_own_arguments() -> None:
    assert Wider(3).recipe == recipe(f"{__name__}.Wider", factor=3)


def test_a_class_without_a_constructor_has_a_recipe() -> None:
    assert EpsilonDenoiser(Same(), (1, 8, 8)).recipe["init_args"]["network"] == recipe(f"{__name__}.Same")


def test_settings_within_operators_are_remembered() -> None:
    mask = Inpainting(BoxMask(3, 4)).recipe["init_args"]["mask"]
    assert mask["init_args"] == {"height": 3, "width": 4, "place": "middle", "margin": 0}


def test_settings_are_described_by_their_class_and_fields() -> None:
    expected = recipe("lightning_inv.operators.kernels.GaussianKernel", width=5, std=2.0)
    assert describe(GaussianKernel(width=5)) == expected


# Building


@pytest.mark.parametrize(
    "thing",
    [
        TinyNetwork(2, 8),
        Patched(TinyNetwork(4), 2),
        UNet(8, model_channels=32, channel_mult=[1], attention_resolutions=[], num_classes=3),
        LinearSchedule(10, 0.01, 0.1),
        CosineSchedule(20, 0.01),
        EpsilonDenoiser(TinyNetwork(), [1, 8, 8], CosineSchedule(20)),
        EpsilonDenoiser(Same(), [1, 8, 8]),
        EpsilonDenoiser(Chain([TinyNetwork(1, 4), Wider(2)]), [1, 8, 8]),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_what_is_built_has_the_same_recipe(thing: Any) -> None:
    built = build(json.loads(json.dumps(thing.recipe)), KINDS, [__name__.split(".")[0]])
    assert type(built) is type(thing)
    assert built.recipe == thing.recipe


# Refusing


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module on the path that must not be imported."""
    (tmp_path / "trap_module.py").write_text("from lightning_inv.networks import TinyNetwork as Trap\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "trap_module"
    sys.modules.pop("trap_module", None)


@pytest.mark.parametrize("place", ["outside", "inside"])
def test_a_class_of_an_untrusted_package_is_refused_and_not_imported(trap: str, place: str) -> None:
    bad = recipe(f"{trap}.Trap")
    with pytest.raises(ValueError, match=r"'trap_module\.Trap' is outside the trusted packages"):
        build(bad if place == "outside" else epsilon(network=bad), KINDS)
    assert trap not in sys.modules


def test_a_class_of_a_package_that_the_user_trusts_is_built(trap: str) -> None:
    assert isinstance(build(recipe(f"{trap}.Trap"), KINDS, [trap]), TinyNetwork)


@pytest.mark.parametrize("path", ["os.system", "builtins.eval", "lightning_invaders.Net", "TinyNetwork", ""])
def test_names_outside_the_package_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is outside the trusted packages"):
        build(recipe(path), KINDS)


@pytest.mark.parametrize(
    "path",
    [
        "lightning_inv.operators.Identity",
        "lightning_inv.priors.load_prior",
        "lightning_inv.networks.Nothing",
        "lightning_inv.networks",
        "lightning_inv.recipes.importlib",
    ],
)
def test_what_is_no_part_of_a_prior_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=rf"'{path}' is not a Denoiser or Network or Schedule"):
        build(recipe(path), KINDS)


@pytest.mark.parametrize("path", ["lightning_inv.nothing.Net", "lightning_inv.cli.sys.exit", "lightning_inv"])
def test_what_cannot_be_imported_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=rf"'{path}' cannot be imported"):
        build(recipe(path), KINDS)


@pytest.mark.parametrize("bad", [None, [], "lightning_inv.networks.TinyNetwork", {}, {"class_path": "a.B"}])
def test_what_is_no_recipe_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"a recipe has the keys class_path and init_args"):
        build(bad, KINDS)


@pytest.mark.parametrize("arguments", [None, [], [1], "width"])
def test_arguments_without_names_are_refused(arguments: Any) -> None:
    with pytest.raises(ValueError, match=r"init_args of '.*TinyNetwork' must have names"):
        build({**TINY, "init_args": arguments}, KINDS)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (recipe("lightning_inv.networks.TinyNetwork", depth=3), "depth"),
        (recipe("lightning_inv.networks.TinyNetwork", width="wide"), "width"),
        (recipe("lightning_inv.networks.TinyNetwork", width=-1), "negative dimension"),
        (recipe("lightning_inv.networks.UNet", image_size=8, channel_mult=[]), "UNet"),
        (recipe("lightning_inv.networks.Patched"), "network"),
        (recipe("lightning_inv.schedules.LinearSchedule", T=0), r"T must be in \[1, 1000000\], got 0"),
        (recipe("lightning_inv.schedules.Schedule", betas=[0.1]), "Schedule"),
        (epsilon(shape=[8, 8]), "shape must be three positive numbers"),
        (epsilon(shape=None), "EpsilonDenoiser"),
        (epsilon(shape=TINY), "EpsilonDenoiser"),
    ],
)
def test_arguments_that_do_not_fit_are_named(bad: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(bad, KINDS)


@pytest.mark.parametrize(
    ("bad", "argument"),
    [
        (epsilon(schedule=TINY), "schedule"),
        (epsilon(network=recipe("lightning_inv.schedules.LinearSchedule")), "network"),
        (epsilon(network=epsilon()), "network"),
        (recipe("lightning_inv.networks.Patched", network=epsilon()), "network"),
        (epsilon(network=5), "network"),
    ],
)
def test_a_part_of_the_wrong_kind_is_named(bad: dict, argument: str) -> None:
    with pytest.raises(ValueError, match=rf"argument '{argument}' of '.*' must be"):
        build(bad, KINDS)


def test_a_gaussian_cannot_be_written_as_text() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(GaussianDenoiser(torch.zeros(1, 1, 2), torch.eye(2)).recipe)


def test_a_function_is_not_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
        called = []

        def call(text):
            called.append(text)
    """
    (tmp_path / "trusted_module.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="is not a Denoiser"):
        build(recipe("trusted_module.call", text="harm"), KINDS, ["trusted_module"])
    assert sys.modules.pop("trusted_module").called == []
