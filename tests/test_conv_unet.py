"""The U-Net of convolutions: any size, and a tile is treated as the whole is."""

import pytest
import torch
from test_networks import awake
from torch import Tensor

from lightning_inv.networks import ConvUNet
from lightning_inv.networks.conv_unet import mirrored, pixel_norm


def small(channels: int = 1, patch: int = 2) -> ConvUNet:
    return ConvUNet(channels, widths=(8, 12), depths=(1, 1), patch=patch, embedding=8)


@pytest.mark.parametrize("patch", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (17, 30)], ids=str)
def test_images_may_have_any_size(shape: tuple[int, int], patch: int) -> None:
    x = torch.randn(2, 3, *shape)
    assert awake(small(3, patch))(x, torch.tensor([3, 500])).shape == x.shape


def test_it_begins_with_zero() -> None:
    assert not small()(torch.randn(2, 1, 8, 8), torch.tensor([3, 500])).any()


def test_far_from_its_border_a_tile_is_treated_as_the_whole() -> None:
    network, x, t = awake(small()), torch.randn(1, 1, 96, 96), torch.tensor([500])
    whole, tile = network(x, t)[..., 8:88, 8:88], network(x[..., 8:88, 8:88], t)
    torch.testing.assert_close(tile[..., 28:-28, 28:-28], whole[..., 28:-28, 28:-28], atol=1e-5, rtol=1e-5)
    assert (tile - whole).abs().max() > 1e-3  # at the border it is not


def test_an_image_that_moves_by_the_strides_moves_the_output() -> None:
    network, x, t = awake(small()), torch.randn(1, 1, 96, 96), torch.tensor([500])
    moved = network(x.roll((4, 8), (2, 3)), t).roll((-4, -8), (2, 3))
    torch.testing.assert_close(
        moved[..., 36:60, 36:60], network(x, t)[..., 36:60, 36:60], atol=1e-5, rtol=1e-5
    )


def test_sides_that_do_not_fit_are_mirrored() -> None:
    network, x, t = awake(small()), torch.randn(1, 1, 6, 11), torch.tensor([500])
    whole = torch.cat([x, x[..., -2:, :].flip(-2)], -2)
    whole = torch.cat([whole, whole[..., -1:]], -1)
    torch.testing.assert_close(network(x, t), network(whole, t)[..., :6, :11])


@pytest.mark.parametrize(
    ("side", "factor", "expected"),
    [(4, 4, [0, 1, 2, 3]), (3, 4, [0, 1, 2, 2]), (1, 4, [0, 0, 0, 0]), (2, 7, [0, 1, 1, 0, 0, 1, 1])],
)
def test_mirroring_goes_on_as_often_as_needed(side: int, factor: int, expected: list[int]) -> None:
    x = torch.arange(side).expand(1, 1, factor, side)
    assert mirrored(x, factor)[0, 0, 0].tolist() == expected
    assert mirrored(x.mT, factor)[0, 0, :, 0].tolist() == expected


def test_normalisation_looks_at_no_other_pixel() -> None:
    def changed(x: Tensor) -> Tensor:
        return torch.cat([x[..., :1], 100 * x[..., 1:]], -1)

    x = torch.randn(1, 6, 1, 4)
    assert torch.equal(pixel_norm(changed(x))[..., :1], pixel_norm(x)[..., :1])
    torch.testing.assert_close(pixel_norm(x).square().mean(1), torch.ones(1, 1, 4), atol=1e-4, rtol=0)


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ConvUNet.channels is 1, but the images have 3 channels"):
        small()(torch.zeros(1, 3, 8, 8), torch.zeros(1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": (8, 8), "depths": (1,)}, r"of one length, got \[8, 8\], \[1\]"),
        ({"widths": (), "depths": ()}, "of one length"),
        ({"widths": (8, 0), "depths": (1, 1)}, "must be at least 1, embedding at least 2"),
        ({"widths": (8, 8), "depths": (1, 0)}, "must be at least 1"),
        ({"patch": 0}, "must be at least 1"),
        ({"channels": 0}, "must be at least 1"),
        ({"embedding": 1}, "embedding at least 2"),
    ],
)
def test_settings_that_make_no_network_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvUNet(**settings)
