"""What a run takes besides its network, measured by hooks."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lightning_inv.networks import Network, UNet


class Run(NamedTuple):
    """What can be measured."""

    solve: Callable[[], Any]
    network: nn.Module
    """The part whose time is that of the network."""


class Free(Network):
    """A network that costs nothing."""

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return x


def small_unet() -> UNet:
    """About a million parameters, none of them zero."""
    torch.manual_seed(0)
    network = UNet(32, 3, 3, model_channels=32, channel_mult=(1, 1.5, 2), num_res_blocks=1, norm_groups=16)
    for weight in network.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.02)
    return network.eval().requires_grad_(False)


class Clock:
    """The seconds within a module, forward and backward, and its forward calls.

    Args:
        module: The module.
    """

    def __init__(self, module: nn.Module) -> None:
        self.seconds, self.calls = 0.0, 0
        self.hooks = [
            module.register_forward_pre_hook(self._begin),
            module.register_forward_hook(self._end),
            module.register_full_backward_pre_hook(self._begin),
            module.register_full_backward_hook(self._end_backward),
        ]

    def _begin(self, *_: object) -> None:
        self.began = time.perf_counter()

    def _end(self, *_: object) -> None:
        self.calls += 1
        self._end_backward()

    def _end_backward(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.began

    def remove(self) -> None:
        """Takes the hooks away."""
        for hook in self.hooks:
            hook.remove()


class Cost(NamedTuple):
    """What a run took."""

    ratio: float
    """All of it over its network."""
    own: float
    """Milliseconds a call of the network, without the network."""
    calls: int


def cost(run: Run) -> Cost:
    """Runs once."""
    clock, began = Clock(run.network), time.perf_counter()
    run.solve()
    seconds = time.perf_counter() - began
    clock.remove()
    return Cost(seconds / clock.seconds, 1e3 * (seconds - clock.seconds) / clock.calls, clock.calls)
