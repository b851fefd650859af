"""Matrix-free linear algebra on batches."""

from collections.abc import Callable

import torch
from torch import Tensor


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each pair in a batch, shape ``(B, 1, ..., 1)``."""
    return (a * b).flatten(1).sum(1).view(-1, *(1,) * (a.ndim - 1))


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Values of shape ``(B,)``, shaped to broadcast over images ``like``."""
    return values.view(-1, *(1,) * (like.ndim - 1))


def conjugate_gradient(A: Callable[[Tensor], Tensor], b: Tensor, iterations: int = 50) -> Tensor:
    """Solves ``A x = b`` for symmetric positive (semi-)definite ``A``, from ``x = 0``.

    All iterations are run: stopping early would need a round trip to the host. An image that has converged
    stays where it is.

    Args:
        A: The map ``x -> A x``.
        b: The right-hand side, shape ``(B, ...)``.
        iterations: The number of iterations.
    """
    tiny = torch.finfo(b.dtype).tiny
    x, r, p = torch.zeros_like(b), b, b
    rr = inner(r, r)
    for _ in range(iterations):
        Ap = A(p)
        step = rr / inner(p, Ap).clamp(min=tiny)
        x, r = x + step * p, r - step * Ap
        rr, rr_old = inner(r, r), rr
        p = r + rr / rr_old.clamp(min=tiny) * p
    return x


def orthonormal_basis(first: Tensor) -> Tensor:
    """An orthogonal matrix, ``(n, n)``, whose first column is ``first``, ``(n,)``, at unit length."""
    start = torch.eye(len(first), dtype=torch.double)
    start[:, 0] = first.double()
    basis, _ = torch.linalg.qr(start)
    return (basis * torch.sign(basis[:, 0] @ first.double())).float()
