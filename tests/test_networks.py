"""The ADM network against what is published of it, and laws of all networks."""

import copy

import pytest
import torch

from lightning_inv.networks import ConvUNet, Network, Patched, TinyNetwork, UNet, ZeroNetwork

ADM = {"image_size": 256, "in_channels": 3, "out_channels": 6, "num_head_channels": 64}
WIDE = {"model_channels": 256, "channel_mult": (1, 1, 2, 2, 4, 4), "attention_resolutions": (32, 16, 8)}
PUBLISHED = {
    "256x256_diffusion_uncond": ({**ADM, **WIDE}, 552_814_086, 566),
    "256x256_diffusion": ({**ADM, **WIDE, "num_classes": 1000}, 553_838_086, 567),
    "512x512_diffusion": (
        {**ADM, **WIDE, "image_size": 512, "channel_mult": (0.5, 1, 1, 2, 2, 4, 4), "num_classes": 1000},
        558_997_638,
        645,
    ),
    "ffhq_10m": (
        {**ADM, **WIDE, "model_channels": 128, "num_res_blocks": 1, "attention_resolutions": (16,)},
        93_563_910,
        362,
    ),
}
SMALL = {"image_size": 8, "model_channels": 16, "channel_mult": (1, 2), "num_res_blocks": 1, "norm_groups": 8}
SMALL |= {"attention_resolutions": (4,), "num_heads": 2}
NETWORKS = [
    UNet(**SMALL),
    UNet(**SMALL, resblock_updown=False, use_scale_shift_norm=False),
    Patched(UNet(**{**SMALL, "in_channels": 4, "out_channels": 4}), patch=2),
    ConvUNet(1, widths=(8, 8), depths=(1, 1)),
    TinyNetwork(),
    ZeroNetwork(),
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameter_and_key_counts(name: str) -> None:
    flags, parameters, keys = PUBLISHED[name]
    with torch.device("meta"):
        network = UNet(**flags)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert len(network.state_dict()) == keys


def test_state_dict_names_are_those_of_guided_diffusion() -> None:
    keys = UNet(**SMALL).state_dict().keys()
    expected = {
        "time_embed.0.weight",
        "time_embed.2.bias",
        "input_blocks.0.0.weight",
        "input_blocks.1.0.in_layers.0.weight",
        "input_blocks.1.0.in_layers.2.weight",
        "input_blocks.1.0.emb_layers.1.weight",
        "input_blocks.1.0.out_layers.0.weight",
        "input_blocks.1.0.out_layers.3.weight",
        "input_blocks.2.0.in_layers.2.bias",
        "input_blocks.3.0.skip_connection.weight",
        "input_blocks.3.1.qkv.weight",
        "input_blocks.3.1.proj_out.bias",
        "middle_block.1.norm.weight",
        "output_blocks.1.2.out_layers.3.bias",
        "out.0.weight",
        "out.2.bias",
    }
    assert expected <= keys


def awake(network: Network) -> Network:
    """The network with no parameter at zero, so that every part of it matters."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network.eval()


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)
def test_batch_equals_singles(network: Network) -> None:
    x, t = torch.randn(3, 1, 8, 8), torch.tensor([0, 500, 999])
    network = awake(network)
    together = network(x, t)
    singles = torch.cat([network(x[i : i + 1], t[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, singles, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("network", NETWORKS[:-1], ids=lambda network: type(network).__name__)
def test_time_matters(network: Network) -> None:
    x, network = torch.randn(1, 1, 8, 8), awake(network)
    assert (network(x, torch.tensor([1])) - network(x, torch.tensor([900]))).abs().max() > 1e-3


def kept(network: Network, x: torch.Tensor, t: torch.Tensor) -> tuple[int, list[torch.Tensor]]:
    """The numbers kept for the gradient, without weights, and the gradient."""
    sizes = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(0 if isinstance(tensor, torch.nn.Parameter) else tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = network(x, t).square().mean()
    return sum(sizes), list(torch.autograd.grad(loss, list(network.parameters())))


@pytest.mark.parametrize("network", [NETWORKS[0], NETWORKS[3]], ids=lambda network: type(network).__name__)
def test_activations_that_are_computed_again_take_less_memory_and_give_the_same_gradient(
    network: Network,
) -> None:
    network, x, t = copy.deepcopy(awake(network)), torch.randn(2, 1, 8, 8), torch.tensor([7, 900])
    most, gradient = kept(network, x, t)
    network.checkpointed = True
    less, same = kept(network, x, t)
    torch.testing.assert_close(gradient, same)
    assert less < 0.6 * most


def test_labels_matter_and_are_demanded() -> None:
    network, x, t = awake(UNet(**SMALL, num_classes=3)), torch.randn(1, 1, 8, 8), torch.tensor([7])
    difference = network(x, t, torch.tensor([0])) - network(x, t, torch.tensor([2]))
    assert difference.abs().max() > 1e-4
    with pytest.raises(ValueError, match="labels are needed if and only if"):
        network(x, t)


def test_frozen_network_is_differentiable_in_its_input() -> None:
    network = awake(UNet(**SMALL)).requires_grad_(False)
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    network(x, torch.tensor([500])).square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().max() > 0
    assert all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 9, 8)], ids=str)
def test_images_that_do_not_fit_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(
        ValueError, match=r"takes 1 channels and sides divisible by 2, got .*" + str(shape[1])
    ):
        UNet(**SMALL)(torch.zeros(1, *shape), torch.tensor([1]))


def test_width_that_groups_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="divisible by norm_groups=5, got"):
        UNet(**{**SMALL, "norm_groups": 5})
