"""Total variation of all colours together."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

Prox = Callable[[Tensor, float], Tensor]
"""From z and rho to the x that minimises the misfit to y, |y - A x|^2, plus rho |x - z|^2."""


def primal_dual(prox: Prox, x: Tensor, weight: float, steps: int) -> Iterator[Tensor]:
    """Goes towards the x that minimises |y - A x|^2 / 2 + weight TV(x).

    TV sums, over pixels, the root of the squared differences to the pixels below and to the right, of all
    colours together. With p a dual image for each direction, D the differences and tau theta 8 = 1,

        x' = prox(x - tau D^T p),    p = clip(p + theta D (2 x' - x)),

    where clip makes no vector of p longer than the weight.

    Source: Chambolle & Pock (2011), A first-order primal-dual algorithm for convex problems with applications
    to imaging, https://doi.org/10.1007/s10851-010-0251-1, algorithm 1.

    Args:
        prox: Knows A and y.
        x: The first image, shape ``(B, C, H, W)``.
        weight: The weight of TV.
        steps: The number of steps.
    """
    tau = 0.05 / weight  # x changes by about 0.05 while p, as large as the weight, changes sign
    theta, p = 1 / (8 * tau), torch.zeros_like(differences(x))
    for _ in range(steps):
        before, x = x, prox(x - tau * differences_adjoint(p), 1 / tau)
        p = p + theta * differences(2 * x - before)
        length = p.square().sum((0, 2), keepdim=True).sqrt()  # of both directions and all colours
        p = p / (length / weight).clamp(min=1)
        yield x


def differences(x: Tensor) -> Tensor:
    """Differences to the pixels below and to the right, 0 at the border: shape ``(2, B, C, H, W)``."""
    return torch.stack([F.pad(x.diff(dim=-2), (0, 0, 0, 1)), F.pad(x.diff(dim=-1), (0, 1))])


def differences_adjoint(p: Tensor) -> Tensor:
    """The adjoint of ``differences``, shape ``(B, C, H, W)``."""
    below, right = F.pad(p[0][..., :-1, :], (0, 0, 1, 1)), F.pad(p[1][..., :-1], (1, 1))
    return -below.diff(dim=-2) - right.diff(dim=-1)
