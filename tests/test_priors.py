"""Files of priors: what is written is read again, and what is not a prior is refused by name."""

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tiny_prior
from safetensors.torch import save_file
from torch import Tensor

import lightning_inv.networks
import lightning_inv.schedules
from lightning_inv.denoisers import Denoiser, EpsilonDenoiser, GaussianDenoiser
from lightning_inv.networks import ConvUNet, Network, Patched, TinyNetwork, UNet, ZeroNetwork
from lightning_inv.priors import FORMAT, load_prior, read_provenance, save_prior
from lightning_inv.schedules import CosineSchedule, LinearSchedule, Schedule

NETWORKS: dict[str, Callable[[], Network]] = {
    "TinyNetwork": lambda: TinyNetwork(1, 4),
    "ZeroNetwork": lambda: ZeroNetwork(1),
    "UNet": lambda: UNet(8, model_channels=8, channel_mult=[1, 2], norm_groups=4, attention_resolutions=[4]),
    "Patched": lambda: Patched(TinyNetwork(4, 4), 2),
    "ConvUNet": lambda: ConvUNet(1, widths=[8, 8], depths=[1, 1]),
}
SCHEDULES: dict[str, Callable[[], Schedule]] = {
    "LinearSchedule": lambda: LinearSchedule(30, 1e-3, 0.1),
    "CosineSchedule": lambda: CosineSchedule(20, 0.01),
}


def test_no_network_is_left_out() -> None:
    members = (getattr(lightning_inv.networks, name) for name in lightning_inv.networks.__all__)
    final = {m.__name__ for m in members if issubclass(m, Network) and not inspect.isabstract(m)}
    assert final == set(NETWORKS)


def test_no_schedule_is_left_out() -> None:
    assert {member.__name__ for member in Schedule.__subclasses__()} == set(SCHEDULES)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A prior's file."""
    save_prior(tmp_path / "prior.safetensors", tiny_prior(), {"data": "none", "steps": 3})
    return tmp_path / "prior.safetensors"


def randomised(denoiser: Denoiser) -> Denoiser:
    """The same with weights that no constructor makes."""
    for parameter in denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return denoiser


# What is written is read again


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_prior_that_is_loaded_says_the_same(tmp_path: Path, network: str, schedule: str) -> None:
    saved = randomised(EpsilonDenoiser(NETWORKS[network](), (1, 8, 8), SCHEDULES[schedule]()))
    save_prior(tmp_path / "prior.safetensors", saved, {})
    loaded = load_prior(tmp_path / "prior.safetensors")
    x_t, t = torch.randn(3, 1, 8, 8), torch.tensor([1, 9, 20])
    assert loaded.recipe == saved.recipe
    assert torch.equal(loaded(x_t, t).x, saved.eval()(x_t, t).x)


def test_a_prior_that_knows_classes_says_the_same(tmp_path: Path) -> None:
    network = UNet(
        8, model_channels=8, channel_mult=[1], norm_groups=4, attention_resolutions=[], num_classes=3
    )
    saved = randomised(EpsilonDenoiser(network, (1, 8, 8)))
    save_prior(tmp_path / "prior.safetensors", saved, {})
    loaded = load_prior(tmp_path / "prior.safetensors")
    x_t, t, label = torch.randn(3, 1, 8, 8), torch.tensor([1, 9, 20]), torch.tensor([0, 2, 1])
    assert torch.equal(loaded(x_t, t, label).x, saved.eval()(x_t, t, label).x)


def test_a_prior_that_is_loaded_is_frozen(file: Path) -> None:
    assert not any(parameter.requires_grad for parameter in load_prior(file).parameters())


def test_a_prior_that_is_loaded_is_in_evaluation_mode(file: Path) -> None:
    assert not any(module.training for module in load_prior(file).modules())


def test_weights_of_16_bits_are_read_as_32(tmp_path: Path) -> None:
    saved = randomised(tiny_prior())
    save_prior(tmp_path / "prior.safetensors", saved, {}, half=True)
    loaded = load_prior(tmp_path / "prior.safetensors").state_dict()
    assert {tensor.dtype for tensor in loaded.values()} == {torch.float32}
    assert all(
        torch.equal(loaded[name], tensor.half().float()) for name, tensor in saved.state_dict().items()
    )


def test_weights_of_16_bits_take_half_the_space(tmp_path: Path) -> None:
    denoiser, sizes = EpsilonDenoiser(TinyNetwork(1, 64), (1, 8, 8)), []
    for half in (False, True):
        save_prior(tmp_path / "prior.safetensors", denoiser, {}, half)
        sizes.append((tmp_path / "prior.safetensors").stat().st_size)
    assert 0.5 <= sizes[1] / sizes[0] < 0.51


def test_weights_in_any_memory_format_are_the_same(tmp_path: Path) -> None:
    saved = randomised(EpsilonDenoiser(TinyNetwork(3, 4), (3, 8, 8))).to(memory_format=torch.channels_last)
    save_prior(tmp_path / "prior.safetensors", saved, {})
    loaded = load_prior(tmp_path / "prior.safetensors").state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in saved.state_dict().items())


def test_a_prior_that_is_written_over_is_the_new_one(file: Path) -> None:
    save_prior(file, randomised(tiny_prior((3, 4, 4))), {})
    assert load_prior(file).shape == (3, 4, 4)


def test_the_provenance_is_told(file: Path) -> None:
    assert read_provenance(file) == {"data": "none", "steps": 3}


def test_a_prior_that_text_cannot_describe_is_refused(tmp_path: Path) -> None:
    prior = GaussianDenoiser(torch.zeros(1, 1, 2), torch.eye(2))
    with pytest.raises(ValueError, match="GaussianDenoiser cannot be described in a file"):
        save_prior(tmp_path / "prior.safetensors", prior, {})
    assert list(tmp_path.iterdir()) == []


# Networks of the user


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of the user with a network in it, which is on the path and not imported yet."""
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "nets.py").write_text(
        "from lightning_inv.networks import TinyNetwork\n\n\n"
        "class Mine(TinyNetwork):\n"
        "    def __init__(self, factor: int) -> None:\n"
        "        super().__init__(1, 4 * factor)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_package"
    for name in [name for name in sys.modules if name.split(".")[0] == "my_package"]:
        del sys.modules[name]


@pytest.fixture
def mine(tmp_path: Path, package: str) -> Path:
    """The file of a prior whose network is the user's."""
    init_args = {"network": {"class_path": f"{package}.nets.Mine", "init_args": {"factor": 1}}}
    return forged(tmp_path / "mine.safetensors", init_args=init_args)


def test_a_network_of_a_package_that_is_trusted_is_loaded(mine: Path, package: str) -> None:
    network = load_prior(mine, packages=[package]).network
    assert network.recipe == {"class_path": f"{package}.nets.Mine", "init_args": {"factor": 1}}


def test_a_network_of_a_package_that_is_not_trusted_is_not_imported(mine: Path, package: str) -> None:
    with pytest.raises(
        ValueError, match=r"mine\.safetensors .*'my_package\.nets\.Mine' is outside the trusted"
    ):
        load_prior(mine)
    assert not any(name.startswith(package) for name in sys.modules)


# What is refused


def forged(
    path: Path,
    header: dict[str, str | None] | None = None,
    init_args: dict[str, Any] | None = None,
    weights: dict[str, Tensor] | None = None,
    **changes: Any,
) -> Path:
    """A file like that of ``tiny_prior`` with parts of its header, recipe or weights replaced."""
    denoiser = tiny_prior()
    recipe = denoiser.recipe
    recipe = {**recipe, "init_args": {**recipe["init_args"], **(init_args or {})}, **changes}
    fields = {"format": FORMAT, "denoiser": json.dumps(recipe), "range": "[-1, 1]", "provenance": "{}"}
    fields = {name: text for name, text in {**fields, **(header or {})}.items() if text is not None}
    save_file(denoiser.state_dict() if weights is None else weights, path, fields)
    return path


def test_a_forged_file_without_changes_is_loaded(tmp_path: Path) -> None:
    assert load_prior(forged(tmp_path / "a.safetensors")).shape == (1, 8, 8)


def test_the_name_of_a_shipped_prior_is_a_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fashion_mnist").mkdir()  # somebody's data
    assert load_prior("fashion_mnist").shape == (1, 32, 32)
    with pytest.raises(FileNotFoundError, match="no prior at run/fashion_mnist"):
        load_prior("run/fashion_mnist")


@pytest.mark.parametrize("read", [load_prior, read_provenance])
@pytest.mark.parametrize("name", ["nowhere.safetensors", "nowhere", "."])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str, read: Callable[[Path], Any]) -> None:
    with pytest.raises(FileNotFoundError, match=rf"no prior at {tmp_path}.*train\.py"):
        read(tmp_path / name)


@pytest.mark.parametrize("read", [load_prior, read_provenance])
@pytest.mark.parametrize("length", [0, 4, 8, 100, -1])
def test_a_file_that_is_truncated_is_named(file: Path, length: int, read: Callable[[Path], Any]) -> None:
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"prior\.safetensors is truncated or not a safetensors file"):
        read(file)


@pytest.mark.parametrize("content", [b"a few words\n" * 20, b"\x80\x02}q\x00.", b"PK\x03\x04" + bytes(100)])
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes.txt").write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.txt is truncated or not a safetensors file"):
        load_prior(tmp_path / "notes.txt")


@pytest.mark.parametrize("format", [None, "lightning_inv.prior/0", "pt"])
def test_weights_of_another_format_are_refused(tmp_path: Path, format: str | None) -> None:
    path = forged(tmp_path / "a.safetensors", header={"format": format})
    with pytest.raises(
        ValueError, match=rf"a\.safetensors is not a prior of this version: format .*{format}"
    ):
        load_prior(path)


@pytest.mark.parametrize("recipe", [None, "{", "[]", '"text"', "null", "[" * 100000])
def test_a_header_without_a_recipe_is_refused(tmp_path: Path, recipe: str | None) -> None:
    path = forged(tmp_path / "a.safetensors", header={"denoiser": recipe})
    with pytest.raises(ValueError, match=r"a\.safetensors does not describe a prior that can be built"):
        load_prior(path)


@pytest.mark.parametrize(
    "class_path",
    [
        "os.system",
        "lightning_inv.operators.Identity",
        "lightning_inv.networks.TinyNetwork",
        "lightning_inv.schedules.LinearSchedule",
    ],
)
def test_what_is_no_denoiser_is_refused(tmp_path: Path, class_path: str) -> None:
    recipe = json.dumps({"class_path": class_path, "init_args": {}})
    path = forged(tmp_path / "a.safetensors", header={"denoiser": recipe}, weights={})
    with pytest.raises(ValueError, match=rf"a\.safetensors does not describe .*{class_path}"):
        load_prior(path)


@pytest.mark.parametrize(
    "init_args",
    [
        {"shape": "large"},
        {"shape": [0, 8, 8]},
        {"speed": 3},
        {"schedule": {"class_path": "lightning_inv.networks.ZeroNetwork", "init_args": {}}},
        {"network": {"class_path": "lightning_inv.schedules.CosineSchedule", "init_args": {}}},
        {"network": {"class_path": "os.system", "init_args": {"command": "true"}}},
        {"network": {"class_path": "lightning_inv.networks.TinyNetwork", "init_args": {"width": "wide"}}},
        {"network": None},
    ],
)
def test_arguments_that_do_not_fit_are_refused(tmp_path: Path, init_args: dict[str, Any]) -> None:
    path = forged(tmp_path / "a.safetensors", init_args=init_args)
    with pytest.raises(ValueError, match=r"a\.safetensors does not describe a prior that can be built"):
        load_prior(path)


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
def test_weights_of_another_network_are_refused(tmp_path: Path, change: str) -> None:
    weights = tiny_prior().state_dict()
    first = next(iter(weights))
    if change == "missing":
        del weights[first]
    elif change == "unexpected":
        weights["another"] = torch.zeros(1)
    else:
        weights[first] = torch.zeros(7)
    path = forged(tmp_path / "a.safetensors", weights=weights)
    named = "another" if change == "unexpected" else first
    with pytest.raises(ValueError, match=rf"a\.safetensors does not describe .*{named}"):
        load_prior(path)


def test_provenance_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = forged(tmp_path / "a.safetensors", header={"provenance": "{"})
    with pytest.raises(ValueError, match=r"a\.safetensors"):
        read_provenance(path)
