"""The prior's estimate with products of its Jacobian."""

from collections.abc import Callable

import torch
from torch import Tensor

from lightning_inv.denoisers import Estimate
from lightning_inv.solvers.base import Problem

Pull = Callable[..., Tensor]
"""From v, ``(B, C, H, W)``, to J^T v with J = d x_hat / d x_t, in one backward evaluation."""


def linearized(problem: Problem, x_t: Tensor, t: Tensor) -> tuple[Estimate, Pull]:
    """The estimate at x_t, and ``pull(v, last=True)``; say ``last=False`` unless no more products follow."""
    with torch.enable_grad():
        x_t = x_t.detach().requires_grad_()
        estimate = problem.denoise(x_t, t)

    def pull(v: Tensor, last: bool = True) -> Tensor:
        tiny = torch.finfo(v.dtype).tiny
        size = v.abs().flatten(1).amax(1).clamp(min=tiny).view(-1, 1, 1, 1)  # keeps it within 16 bits
        (pulled,) = torch.autograd.grad(estimate.x, x_t, v / size, retain_graph=not last)
        return size * pulled

    return Estimate(estimate.x.detach(), estimate.eps.detach()), pull
