"""Limits of what may be built from a stranger's file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.nn.modules import module
from torch.nn.parameter import is_lazy
from torch.utils import deterministic


@contextmanager
def limited(numbers: int, parts: int) -> Iterator[None]:
    """Modules that are made within hold no more than this; memory that is only asked for is not touched.

    A layer is counted after its memory is reserved and before a number is written to it.

    Args:
        numbers: The entries of all parameters and buffers.
        parts: The modules, parameters and buffers.

    Raises:
        ValueError: They would hold more.
    """
    left = {"numbers": numbers, "parts": parts}

    def count(owner: Any, name: str, made: Any) -> None:
        left["parts"] -= 1
        left["numbers"] -= made.numel() if isinstance(made, Tensor) and not is_lazy(made) else 0
        if min(left.values()) < 0:
            raise ValueError("it would be much larger than the weights in the file.")

    fills, deterministic.fill_uninitialized_memory = deterministic.fill_uninitialized_memory, False
    kinds = ("parameter", "buffer", "module")
    hooks = [getattr(module, f"register_module_{kind}_registration_hook")(count) for kind in kinds]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        deterministic.fill_uninitialized_memory = fills
