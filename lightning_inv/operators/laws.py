"""The laws that an operator must obey, for operators of one's own."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lightning_inv.linalg import inner
from lightning_inv.noise import NoiseStream
from lightning_inv.operators.base import Images, LinearOperator, Operator, SVDOperator

B = 3


def check_operator(
    operator: Operator, shape: Sequence[int], tolerance: float = 1e-3, seed: int = 0
) -> dict[str, float]:
    """Tries an operator on random images and says by how much it misses each law.

    Args:
        operator: The operator, not prepared yet.
        shape: The shape ``(C, H, W)`` of the images.
        tolerance: The largest relative error allowed.
        seed: The images, and what the operator draws, follow from it.

    Returns:
        The relative error of each law that holds for its kind of operator.

    Raises:
        ValueError: The operator cannot measure such images, or it breaks laws, all of which are named.
    """
    C, H, W = shape
    operator.check((C, H, W))
    found = dict(errors_of(operator, (C, H, W), seed))
    broken = [f"{law} (relative error {error:.2g})" for law, error in found.items() if not error <= tolerance]
    if broken:
        raise ValueError(f"{type(operator).__name__} breaks: {'; '.join(broken)}.")
    return found


def errors_of(operator: Operator, shape: tuple[int, int, int], seed: int) -> Iterator[tuple[str, float]]:
    """Each law and the relative error of an operator in it."""
    A, x = operator.prepare(some(shape, seed)), NoiseStream.of(seed, range(B), "law").normal(shape) / 2
    y = A(x)
    yield "y is finite and in the precision of x", float(not (y.isfinite().all() and y.dtype == x.dtype))
    known = operator.measured_shape(shape) == y.shape[1:]
    yield "measured_shape tells the shape of y", float(not known)
    yield "measuring twice gives the same", distance(A(x), y)
    yield "preparing twice gives the same", distance(operator.prepare(some(shape, seed))(x), y)
    singles = [operator.prepare(some(shape, seed, b))(x[b : b + 1]) for b in range(B)]
    yield "a batch equals its images one by one", distance(torch.cat(singles), y)
    yield "y is 0 where nothing is observed", distance(y * A.observed(y), y)
    if isinstance(A, LinearOperator):
        yield from errors_of_linear(A, x, y, seed)
    if isinstance(A, SVDOperator):
        yield from errors_of_factors(A, x, y)


def errors_of_linear(A: LinearOperator, x: Tensor, y: Tensor, seed: int) -> Iterator[tuple[str, float]]:
    """The laws of linear operators."""
    z = NoiseStream.of(seed, range(B), "other").normal(x.shape[1:])
    w = NoiseStream.of(seed, range(B), "measured").normal(y.shape[1:]) * A.observed(y)
    yield "A(2 x - 3 z) = 2 A(x) - 3 A(z)", distance(A(2 * x - 3 * z), 2 * y - 3 * A(z))
    scale = (inner(y, y) * inner(w, w)).sqrt().clamp(min=1e-12)
    yield (
        "<A x, w> = <x, A^T w>",
        float(((inner(y, w).flatten() - inner(x, A.adjoint(w)).flatten()) / scale.flatten()).abs().max()),
    )


def errors_of_factors(A: SVDOperator, x: Tensor, y: Tensor) -> Iterator[tuple[str, float]]:
    """The laws of operators with a singular value decomposition."""
    seen = x * A.seen
    yield "V V^T = 1", distance(A.V(A.Vt(x)), x)
    yield "V^T V = 1", distance(A.Vt(A.V(x)), x)
    yield "|V z| = |z|", distance(inner(A.V(x), A.V(x)), inner(x, x))
    yield "U^T U = 1 where something is seen", distance(A.Ut(A.U(seen)), seen)
    yield "A = U diag(s) V^T", distance(A.U(A.s * A.Vt(x)), y)
    yield "A A^+ A = A", distance(A(A.pinv(y)), y)


def some(shape: tuple[int, int, int], seed: int, only: int | None = None) -> Images:
    """The images to try it on, or one of them."""
    images = Images.unnamed(shape, B, seed)
    if only is None:
        return images
    rng = NoiseStream(images.rng.generators[only : only + 1], images.rng.device)
    return Images(shape, images.names[only : only + 1], rng)


def distance(a: Tensor, b: Tensor) -> float:
    """The largest difference over the largest entry of b; infinite if their shapes differ."""
    if a.shape != b.shape:
        return float("inf")
    return float((a - b).abs().max() / b.abs().max().clamp(min=1e-6))
