"""Matrix-free linear algebra on batches."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each pair in a batch, shape ``(B, 1, ..., 1)``."""
    return (a * b).flatten(1).sum(1).view(-1, *(1,) * (a.ndim - 1))


Map = Callable[[Tensor], Tensor]


def conjugate_gradient(A: Map, b: Tensor, iterations: int = 50) -> Tensor:
    """Solves ``A x = b`` for symmetric positive (semi-)definite ``A``, from ``x = 0``.

    All iterations are run: stopping early would need a round trip to the host. An image stays where it is
    once its residual is down to rounding, or once the search has come to a direction that ``A`` shrinks to
    rounding, compared with the largest it has met: there only rounding is left of b, which must not grow.

    Args:
        A: The map ``x -> A x``.
        b: The right-hand side, shape ``(B, ...)``.
        iterations: The number of iterations.
    """
    x = torch.zeros_like(b)
    for step, p in conjugate_directions(A, b, iterations):
        x = x + step * p
    return x


def conjugate_directions(
    A: Map, b: Tensor, iterations: int, precondition: Map | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """The steps, ``(B, 1, ..., 1)``, and directions, ``(B, ...)``, whose products sum up to the solution.

    Args:
        A: The map ``x -> A x``.
        b: The right-hand side, shape ``(B, ...)``.
        iterations: The number of iterations.
        precondition: A symmetric map that is nearly the inverse of A; none if None.
    """
    info = torch.finfo(b.dtype)
    r, p = b, precondition(b) if precondition else b
    rr = inner(r, p)
    enough, largest, active = (10 * info.eps) ** 2 * rr, torch.zeros_like(rr), rr > 0
    for _ in range(iterations):
        Ap = A(p)
        pAp = inner(p, Ap)
        curvature = pAp / inner(p, p).clamp(min=info.tiny)
        largest = torch.maximum(largest, curvature)
        active = active & (rr > enough) & (curvature > 10 * info.eps * largest)
        step = torch.where(active, rr / pAp.clamp(min=info.tiny), 0.0)
        yield step, p
        r = r - step * Ap
        z = precondition(r) if precondition else r
        rr, rr_old = inner(r, z), rr
        p = z + rr / rr_old.clamp(min=info.tiny) * p


def orthonormal_basis(first: Tensor) -> Tensor:
    """An orthogonal matrix, ``(n, n)``, whose first column is ``first``, ``(n,)``, at unit length."""
    start = torch.eye(len(first), dtype=torch.double)
    start[:, 0] = first.double()
    basis, _ = torch.linalg.qr(start)
    return (basis * torch.sign(basis[:, 0] @ first.double())).float()
