"""What a training draws does not depend on the number of ranks."""

import contextlib
from types import SimpleNamespace

import pytest
import torch
from helpers import tiny_prior
from torch import Tensor

from lightning_inv.callbacks.training import draw
from lightning_inv.solvers import Unconditional


def drawn(count: int, ranks: int) -> Tensor:
    """Samples by ranks that work in turns, as the last of them is given them."""
    torch.manual_seed(0)
    module = SimpleNamespace(averaged=tiny_prior(), image_shape=(1, 8, 8), device=torch.device("cpu"))
    shares: list[Tensor] = []

    def gather(own: Tensor) -> Tensor:
        shares.append(own)
        return torch.stack((shares * ranks)[-ranks:])

    for rank in range(ranks):
        trainer = SimpleNamespace(
            world_size=ranks,
            global_rank=rank,
            strategy=SimpleNamespace(all_gather=gather),
            precision_plugin=SimpleNamespace(forward_context=contextlib.nullcontext),
        )
        samples = draw(trainer, module, Unconditional(steps=2), count, 0)
    return samples


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_draw_together_what_one_draws_alone(ranks: int) -> None:
    torch.testing.assert_close(drawn(5, ranks), drawn(5, 1))


def test_no_two_samples_are_alike() -> None:
    assert len(drawn(70, 1).flatten(1).unique(dim=0)) == 70
