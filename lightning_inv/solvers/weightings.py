"""How the weight of the prior depends on the noise over the image, s = sigma_t / alpha_t."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Named = Literal["linear", "sqrt", "square", "log", "trunc_linear", "power2over3", "const"]
WEIGHTINGS: dict[Named, Callable[[Tensor], Tensor]] = {
    "linear": lambda s: s,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "log": torch.log1p,
    "trunc_linear": lambda s: s.clamp(max=1.0),
    "power2over3": lambda s: s ** (2 / 3),
    "const": torch.ones_like,
}
"""The seven of the code of RED-diff (Mardani et al., 2024)."""

Weighting = Named | Callable[[Tensor], Tensor]
"""One of ``WEIGHTINGS`` by its name, or any function of s."""


def weight_of(weighting: Weighting, s: Tensor) -> Tensor:
    """The weight at s."""
    return weighting(s) if callable(weighting) else WEIGHTINGS[weighting](s)


def check_weighting(weighting: Weighting, owner: str) -> None:
    """Raises ValueError unless there is such a weighting."""
    if not callable(weighting) and weighting not in WEIGHTINGS:
        known = ", ".join(WEIGHTINGS)
        raise ValueError(f"{owner}.weighting must be one of {known}, got {weighting!r}.")
