"""Networks that are used as they are, such as a classifier that leads or a decoder."""

from typing import TypeVar

import torch
from torch import nn

from lightning_inv.files import load_weights, shipped

M = TypeVar("M", bound=nn.Module)


def frozen(module: M, weights: str | None = None) -> M:
    """The module itself, without gradients and dropout, with the weights of a file if one is named.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file does not hold weights of this module.
    """
    if weights is not None:
        load_weights(module, shipped(weights))
    return module.eval().requires_grad_(False)


def device_of(module: nn.Module) -> torch.device:
    """Where the weights and buffers of a module are; the CPU if it has none."""
    return next((part.device for part in module.state_dict().values()), torch.device("cpu"))
