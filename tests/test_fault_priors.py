"""Priors of strangers: what asks for more than it gives is refused, in little time and memory."""

import importlib
import inspect
import json
import pkgutil
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import within
from test_priors import forged
from torch import Tensor, nn

import lightning_inv
from lightning_inv.denoisers import Denoiser
from lightning_inv.limits import limited
from lightning_inv.memory import PeakMemory
from lightning_inv.networks import Network
from lightning_inv.priors import load_prior
from lightning_inv.recipes import _fits, build
from lightning_inv.schedules import Schedule

pytestmark = pytest.mark.faults


def recipe(name: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": f"lightning_inv.{name}", "init_args": init_args}


def unet(**init_args: Any) -> dict[str, Any]:
    return {"network": recipe("networks.UNet", image_size=8, **init_args)}


def conv(**init_args: Any) -> dict[str, Any]:
    return {"network": recipe("networks.ConvUNet", **init_args)}


def tiny(**init_args: Any) -> dict[str, Any]:
    return {"network": recipe("networks.TinyNetwork", **init_args)}


def nested(depth: int) -> dict[str, Any]:
    return recipe("networks.Patched", network=nested(depth - 1)) if depth else recipe("networks.TinyNetwork")


GIANT = {
    "a width that the memory has": unet(model_channels=32_000),
    "a width that it has not": tiny(width=10**6),
    "a width that no memory has": unet(model_channels=10**9),
    "a width that is no number of this machine": tiny(width=10**30),
    "classes": unet(num_classes=10**8),
    "blocks": conv(depths=[10**9, 1, 1, 1]),
    "levels and resolutions": unet(channel_mult=[1] * 2000, attention_resolutions=[9] * 2000),
    "patches": conv(patch=10**9),
    "a linear schedule": {"schedule": recipe("schedules.LinearSchedule", T=2 * 10**8)},
    "a cosine schedule": {"schedule": recipe("schedules.CosineSchedule", T=2 * 10**8)},
    "text that is multiplied": unet(channel_mult=["a"], model_channels=10**9),
    "a list that is multiplied": unet(channel_mult=[[0]], model_channels=2 * 10**8),
    "recipes in recipes": {"network": nested(200)},
    "lists in lists": {"shape": json.loads("[" * 200 + "]" * 200)},
    "a long recipe": {"shape": [1] * 100_000},
}


def assert_refused(path: Path) -> None:
    """In one sentence, within seconds and little memory."""
    peak = PeakMemory(torch.device("cpu"))
    before = peak.read()
    with within(20), pytest.raises(ValueError, match=r"a\.safetensors does not describe a prior") as caught:
        load_prior(path)
    assert len(str(caught.value).splitlines()) == 1
    assert before is None or peak.read() - before < 500  # MiB


@pytest.mark.parametrize("what", GIANT)
def test_a_prior_that_asks_for_a_giant_network_is_refused(tmp_path: Path, what: str) -> None:
    assert_refused(forged(tmp_path / "a.safetensors", init_args=GIANT[what]))


def test_a_giant_network_is_not_filled_where_torch_is_to_be_deterministic(tmp_path: Path) -> None:
    """It then writes to all memory that is asked for."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        assert_refused(forged(tmp_path / "a.safetensors", init_args=tiny(width=16_000)))
    finally:
        torch.use_deterministic_algorithms(before)


def test_what_is_limited_is_free_again_afterwards() -> None:
    with pytest.raises(ValueError, match="much larger"), limited(numbers=10, parts=10):
        nn.Linear(3, 3)
    with limited(numbers=12, parts=2):
        nn.Linear(3, 3)
    nn.Linear(30, 30)


def test_a_network_that_registers_its_weights_twice_is_within_the_limits(tmp_path: Path) -> None:
    path = forged(tmp_path / "a.safetensors", {}, {"network": own(Normed)}, Normed.state())
    assert isinstance(load_prior(path, [__name__]).network, Normed)


def own(kind: type) -> dict[str, Any]:
    return {"class_path": f"{__name__}.{kind.__name__}", "init_args": {}}


class Normed(Network):
    """A network of a trusted package, whose constructor needs the numbers of its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 1, 3, padding=1))
        self.largest = self.layer.weight.abs().max().item()
        self.register_buffer("table", torch.zeros(4096, 4096), persistent=False)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return self.layer(x)

    @classmethod
    def state(cls) -> dict[str, Tensor]:
        return {f"network.{name}": tensor for name, tensor in cls().state_dict().items()}


# What a file can name


def members() -> list[type]:
    """All that a recipe of a prior can build."""
    for module in pkgutil.walk_packages(lightning_inv.__path__, "lightning_inv."):
        importlib.import_module(module.name)
    found, rest = [], [Denoiser, Network, Schedule]
    while rest:
        kind = rest.pop()
        found += [kind] if kind.__module__.startswith("lightning_inv.") else []
        rest += kind.__subclasses__()
    return found


def test_no_class_that_a_prior_can_name_is_given_a_path_or_text() -> None:
    """So that none can read or write a file by its recipe."""
    for kind in members():
        for name, parameter in inspect.signature(kind).parameters.items():
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                assert not _fits("text", parameter.annotation), (kind, name)
                assert not _fits(Path("a"), parameter.annotation), (kind, name)


@pytest.mark.parametrize("name", ["args", "kwargs", "self"])
def test_arguments_that_every_constructor_seems_to_have_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be built"):
        build(recipe("denoisers.Denoiser", **{name: 3}), (Denoiser, Network, Schedule))


@pytest.mark.parametrize("kind", ["Denoiser", "NetworkDenoiser", "MixtureDenoiser", "StationaryDenoiser"])
def test_a_denoiser_that_text_cannot_describe_is_not_built(tmp_path: Path, kind: str) -> None:
    arguments = {"weights": [], "components": [], "mean": [0.0], "spectrum": [[[[1.0]]]], "schedule": None}
    known = inspect.signature(getattr(lightning_inv.denoisers, kind, nn.Module)).parameters
    init_args = {name: value for name, value in arguments.items() if name in known}
    path = forged(
        tmp_path / "a.safetensors", {"denoiser": json.dumps(recipe(f"denoisers.{kind}", **init_args))}
    )
    with pytest.raises(ValueError, match=r"a\.safetensors does not describe a prior that can be built"):
        load_prior(path)


@pytest.mark.parametrize(
    "path",
    ["lightning_inv.\x00.A", "lightning_inv.\ud800.A", "lightning_inv..A", "lightning_inv.a/../b.A"]
    + [f"lightning_inv.{module}.main" for module in ("check", "cli", "__main__", "tuning.run")],
)
def test_a_module_that_is_no_part_of_a_prior_is_refused(path: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(ValueError, match=r"cannot be imported|is not a Denoiser or Network or Schedule"):
        build({"class_path": path, "init_args": {}}, (Denoiser, Network, Schedule))
    assert capsys.readouterr() == ("", "")
