"""An image restored in tiles is as good as restored in one piece."""

from pathlib import Path

import pytest
import torch
from helpers import random_weights
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import (
    Denoiser,
    EpsilonDenoiser,
    MeteredDenoiser,
    TiledDenoiser,
    VelocityDenoiser,
)
from lightning_inv.denoisers.sized import SizedDenoiser
from lightning_inv.networks import ConvUNet, Network, TinyNetwork
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Identity, Images
from lightning_inv.solvers import DDRM, Problem

REACH, TILE, OVERLAP = 3, 16, 12  # three convolutions reach as far as a quarter of the overlap
SIZES = [(40, 56), (33, 21), (12, 40), (16, 17), (17, 16), (28, 28)]


def tiny(channels: int = 1) -> Denoiser:
    """A prior of any size that sees three pixels far."""
    return EpsilonDenoiser(TinyNetwork(channels, width=4), (channels, None, None)).requires_grad_(False)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_network_that_sees_less_than_the_overlap_gives_the_same_in_tiles(size: tuple[int, int]) -> None:
    prior, x_t, t = tiny(), torch.randn(2, 1, *size), torch.tensor([5, 700])
    whole, tiled = prior(x_t, t), TiledDenoiser(prior, TILE, OVERLAP, batch=3)(x_t, t)
    torch.testing.assert_close(tiled.x, whole.x, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(tiled.eps, whole.eps, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("overlap", [0, 1, 5, 12, 15])
def test_tiles_of_any_overlap_cover_the_image_once(overlap: int) -> None:
    class Constant(Network):
        def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
            return torch.ones_like(x)

    tiled = TiledDenoiser(EpsilonDenoiser(Constant(), (1, None, None)), TILE, overlap)
    eps = tiled(torch.zeros(1, 1, 35, 50), torch.tensor(9)).eps
    torch.testing.assert_close(eps, torch.ones_like(eps))


class Spy(TinyNetwork):
    """Notes what it is given."""

    num_classes = 10

    def __init__(self) -> None:
        super().__init__(width=4)
        self.seen: list[tuple[tuple[int, ...], list[int]]] = []

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        self.seen.append((tuple(x.shape), label.tolist()))
        return super().forward(x, t)


@pytest.mark.parametrize("size", [(16, 16), (9, 16), (3, 5)], ids=str)
def test_an_image_that_is_no_larger_than_a_tile_is_seen_whole(size: tuple[int, int]) -> None:
    prior = EpsilonDenoiser(Spy(), (1, None, None))
    x_t, t, label = torch.randn(5, 1, *size), torch.tensor(9), torch.arange(5)
    tiled = TiledDenoiser(prior, TILE, OVERLAP, batch=2)(x_t, t, label)
    assert prior.network.seen == [((5, 1, *size), label.tolist())]
    assert torch.equal(tiled.x, prior(x_t, t, label).x)


def test_no_more_tiles_are_seen_at_a_time_than_a_batch_and_each_is_told_its_class() -> None:
    prior = EpsilonDenoiser(Spy(), (1, None, None))
    TiledDenoiser(prior, TILE, OVERLAP, batch=4)(
        torch.randn(2, 1, 16, 24), torch.tensor(9), torch.tensor([7, 3])
    )
    assert prior.network.seen == [((4, 1, 16, 16), [7, 7, 7, 3]), ((2, 1, 16, 16), [3, 3])]


def test_gradients_flow_through_tiles() -> None:
    """More than once, as solvers that take several products of the Jacobian need it."""
    prior, x_t, t = tiny(), torch.randn(1, 1, 20, 30, requires_grad=True), torch.tensor(300)
    whole, tiled = prior(x_t, t).x, TiledDenoiser(prior, TILE, OVERLAP)(x_t, t).x
    for _ in range(2):
        v = torch.randn_like(x_t)
        gradients = [torch.autograd.grad(x, x_t, v, retain_graph=True)[0] for x in (whole, tiled)]
        torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def test_all_tiles_of_an_image_are_one_evaluation() -> None:
    metered = MeteredDenoiser(TiledDenoiser(tiny(), TILE, OVERLAP))
    x_t = torch.randn(1, 1, 40, 40, requires_grad=True)
    metered(x_t, torch.tensor(9)).x.sum().backward()
    assert metered.calls == (1, 1)


@pytest.mark.parametrize(("grad", "most"), [(False, 4), (True, 12)], ids=["estimate", "gradient"])
def test_memory_grows_with_the_image_by_a_few_images_only(
    monkeypatch: pytest.MonkeyPatch, grad: bool, most: int
) -> None:
    """The network has sixteen channels, and keeps more than a hundred images for its gradient."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    from memory import LiveBytes

    tiled = TiledDenoiser(EpsilonDenoiser(TinyNetwork(width=16), (1, None, None)), TILE, overlap=4)
    peaks = []
    for side in (32, 96):
        x_t = torch.randn(1, 1, side, side, requires_grad=grad)
        with torch.set_grad_enabled(grad), LiveBytes() as live:
            estimate = tiled(x_t, torch.tensor(9))
            if grad:
                estimate.x.sum().backward()
        peaks.append(live.peak)
    images = (peaks[1] - peaks[0]) / 4 / (96**2 - 32**2)
    assert images < most


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tile": 0}, "at least 1, got 0 and 4"),
        ({"batch": 0}, "at least 1, got 128 and 0"),
        ({"tile": 8, "overlap": 8}, r"overlap must be in \[0, tile=8\), got 8"),
        ({"overlap": -1}, "overlap must be in .* got -1"),
    ],
)
def test_impossible_tiles_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TiledDenoiser(tiny(), **settings)


def test_a_prior_of_one_size_has_no_tiles() -> None:
    with pytest.raises(ValueError, match=r"need a prior of images of any size, got one of shape \(1, 8, 8\)"):
        TiledDenoiser(EpsilonDenoiser(TinyNetwork(), (1, 8, 8)), TILE)


# Seams

SHAPE, SIGMA = (1, 40, 72), 0.5


def sampled(prior: Denoiser, sample: int = 0) -> Tensor:
    """What DDRM makes of one noisy image, shape ``SHAPE``."""
    measurement = Measurement(Identity(), SIGMA).prepare(Images.unnamed(SHAPE))
    y = SIGMA * NoiseStream.of(0, [0], "measurement").normal(SHAPE)
    rng = NoiseStream.of(0, [0], "solver", sample)
    return DDRM(10)(Problem(y, measurement, SizedDenoiser(prior, SHAPE), rng))[0]


def test_an_image_differs_less_from_itself_in_tiles_than_from_another_sample() -> None:
    """The network sees farther than the overlap; near the borders of tiles it is no worse."""
    prior = VelocityDenoiser(random_weights(ConvUNet(1, (8, 8), (1, 1))), (1, None, None)).requires_grad_(
        False
    )
    whole = sampled(prior)
    apart = sampled(TiledDenoiser(prior, 32, 16)) - whole
    seeds = sampled(prior, sample=1) - whole
    near = torch.zeros(SHAPE, dtype=torch.bool)
    near[:, 8:32], near[..., 16:32], near[..., 32:64] = True, True, True
    assert 1e-4 < rms(apart) < rms(seeds)
    assert rms(apart[near]) < rms(seeds[near])


def rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())
