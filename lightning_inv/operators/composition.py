"""Operators made of operators."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lightning_inv.operators.base import Images, LinearOperator, Operator


class Composition(Operator):
    """A(x) = outer(inner(x)).

    Args:
        outer: The operator that comes second.
        inner: The operator that comes first; what it makes has the shape of an image.
    """

    def __init__(self, outer: Operator, inner: Operator) -> None:
        super().__init__()
        self.outer, self.inner = outer, inner

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        self.inner.check(shape, names)
        self.outer.check(self._between(shape), names)

    def _between(self, shape: tuple[int, int, int]) -> tuple[int, ...]:
        """The shape of what the inner operator makes, which must be that of an image."""
        between = self.inner.measured_shape(shape)
        if len(between) != 3:
            raise ValueError(
                f"{type(self.outer).__name__} needs images, but {type(self.inner).__name__} makes "
                f"shape {between}."
            )
        return between

    def measured_shape(self, shape: tuple[int, int, int]) -> tuple[int, ...]:
        return self.outer.measured_shape(self._between(shape))

    def image_size(self, measured: Sequence[int]) -> tuple[int, int] | None:
        between = self.outer.image_size(measured)
        return between and self.inner.image_size((measured[0], *between))

    def prepare(self, images: Images) -> Operator:
        between = Images(self._between(images.shape), images.names, images.rng)
        return type(self)(self.outer.prepare(between), self.inner.prepare(images))

    @property
    def random(self) -> bool:
        return self.outer.random or self.inner.random

    @property
    def invertible(self) -> bool:
        return self.outer.invertible and self.inner.invertible

    def fingerprint(self) -> Any:
        return [self.outer.fingerprint(), self.inner.fingerprint()]

    def observed(self, y: Tensor) -> Tensor:
        return self.outer.observed(y)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x))

    def pinv(self, y: Tensor) -> Tensor:
        """The guess inner^+ outer^+ y."""
        return self.inner.pinv(self.outer.pinv(y))


class LinearComposition(Composition, LinearOperator):
    """A(x) = outer(inner(x)) of linear operators.

    Args:
        outer: The operator that comes second.
        inner: The operator that comes first; what it makes has the shape of an image.
    """

    def __init__(self, outer: LinearOperator, inner: LinearOperator) -> None:
        super().__init__(outer, inner)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))

    def pinv(self, y: Tensor) -> Tensor:
        return LinearOperator.pinv(self, y)


class Stack(Operator):
    """Several measurements of one image, y = (A_1(x), A_2(x), ...), flattened, shape ``(B, m)``.

    Args:
        operators: The operators.
    """

    shapes: list[tuple[int, ...]]

    def __init__(self, operators: list[Operator]) -> None:
        super().__init__()
        if not operators:
            raise ValueError("Stack.operators must name at least one operator.")
        self.operators = nn.ModuleList(operators)

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        for operator in self.operators:
            operator.check(shape, names)

    def prepare(self, images: Images) -> Operator:
        ready = type(self)([operator.prepare(images) for operator in self.operators])
        ready.shapes = [operator.measured_shape(images.shape) for operator in self.operators]
        return ready

    @property
    def random(self) -> bool:
        return any(operator.random for operator in self.operators)

    @property
    def invertible(self) -> bool:
        return all(operator.invertible for operator in self.operators)

    def fingerprint(self) -> Any:
        return [operator.fingerprint() for operator in self.operators]

    def parts(self, y: Tensor) -> list[Tensor]:
        """The measurement of each operator, in its own shape."""
        sizes = [torch.Size(shape).numel() for shape in self.shapes]
        ends = pairwise([0, *accumulate(sizes)])
        return [y[:, a:b].unflatten(1, shape) for (a, b), shape in zip(ends, self.shapes, strict=True)]

    def observed(self, y: Tensor) -> Tensor:
        pairs = zip(self.operators, self.parts(y), strict=True)
        return torch.cat([A.observed(part).expand_as(part).flatten(1) for A, part in pairs], 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([A(x).flatten(1) for A in self.operators], 1)

    def pinv(self, y: Tensor) -> Tensor:
        """The mean of what each operator gives."""
        pairs = zip(self.operators, self.parts(y), strict=True)
        return torch.stack([A.pinv(part) for A, part in pairs]).mean(0)


class LinearStack(Stack, LinearOperator):
    """Several linear measurements of one image, y = (A_1 x, A_2 x, ...), flattened, shape ``(B, m)``.

    Args:
        operators: The operators.
    """

    def __init__(self, operators: list[LinearOperator]) -> None:
        super().__init__(operators)

    def adjoint(self, y: Tensor) -> Tensor:
        return sum(A.adjoint(part) for A, part in zip(self.operators, self.parts(y), strict=True))

    def pinv(self, y: Tensor) -> Tensor:
        return LinearOperator.pinv(self, y)
