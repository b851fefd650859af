"""The loop of solvers that move an image down a loss."""

import abc
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, optim

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.operators import LinearOperator
from lightning_inv.settings import need_nonnegative
from lightning_inv.solvers.base import Problem, Solver, need_pinv
from lightning_inv.solvers.plans import TimePlan

Start = Literal["pinv", "wiener", "noise"]
"""Where a descent begins: at the pseudo-inverse A^+ y; at argmin |y - A x|^2 + sigma_y^2 |x|^2 ("wiener"), in
which noise is not amplified (for operators that are not linear, as "pinv"); or at white noise."""

MakeOptimizer = Callable[[Iterable], optim.Optimizer]
"""Any optimizer of PyTorch that needs no closure, given by its class and settings."""


ELEMENTWISE = {
    *(optim.ASGD, optim.Adadelta, optim.Adagrad, optim.Adam, optim.AdamW, optim.Adamax, optim.NAdam),
    *(optim.RAdam, optim.RMSprop, optim.Rprop, optim.SGD),
}
"""Optimizers that move each number by itself: one leaf may hold all images, which saves much time."""


class Variables:
    """What a descent moves, ``(B, ...)`` each.

    Images have leaves of their own, so no optimizer mixes them, unless they are to be together.

    Args:
        parts: The first values.
        together: Whether one leaf holds the values of all images, for optimizers that are element-wise.
    """

    def __init__(self, parts: Sequence[Tensor], together: bool = False) -> None:
        self.together, self.scale = together, 2.0 ** (max(part[0].numel() for part in parts) - 1).bit_length()
        rows = [[part.detach()] if together else part.detach().unbind() for part in parts]
        self.leaves = [[row.clone().requires_grad_() for row in part] for part in rows]
        self.flat = [row for part in self.leaves for row in part]

    def parts(self) -> list[Tensor]:
        """The values, shape ``(B, ...)`` each; they may change at the next step."""
        return [part[0].detach() if self.together else torch.stack(part).detach() for part in self.leaves]

    def gradients(self, loss: Callable[..., Tensor]) -> list[Tensor]:
        """The gradient of a loss of the parts, a scalar, with respect to each part, shape ``(B, ...)``."""
        parts = [part.requires_grad_() for part in self.parts()]
        with torch.enable_grad():
            scaled = self.scale * loss(*parts)  # keeps gradients of means within 16 bits
            found = torch.autograd.grad(scaled, parts, allow_unused=True, materialize_grads=True)
        return [part / self.scale for part in found]

    def step(self, optimizer: optim.Optimizer, gradients: Sequence[Tensor]) -> None:
        """Moves the leaves."""
        rows = [[part] if self.together else part.unbind() for part in gradients]
        for leaf, gradient in zip(self.flat, [row for part in rows for row in part], strict=True):
            leaf.grad = gradient
        optimizer.step()


@dataclass(frozen=True)
class Descent(Solver):
    """Moves an image mu down a loss that is drawn anew at every time.

    Args:
        steps: The number of gradient steps.
        plan: The times of the steps.
        start_from: The first image.
        lr: The learning rate, whatever the optimizer.
        lr_end: The learning rate falls linearly to this share of ``lr``.
        optimizer: Any optimizer of PyTorch that needs no closure; that of the source if None.
    """

    plan: TimePlan = field(kw_only=True)
    start_from: Start = field(kw_only=True)
    lr: float = field(kw_only=True)
    lr_end: float = field(default=1.0, kw_only=True)
    optimizer: MakeOptimizer | None = field(default=None, kw_only=True)

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_nonnegative(self, "lr", "lr_end")
        if self.start_from != "noise" and measurement is not None:
            need_pinv(f"{type(self).__name__}.start_from {self.start_from!r}", measurement, "'noise'")
        self.plan.times(self.visits, prior.schedule.T)
        if isinstance(made := self.make_optimizer([torch.zeros(1, requires_grad=True)]), optim.LBFGS):
            raise TypeError(
                f"{type(self).__name__} needs an optimizer without closure, got {type(made).__name__}."
            )

    def make_optimizer(self, leaves: list[Tensor]) -> optim.Optimizer:
        """The optimizer of these leaves; each step sets its learning rate."""
        return (self.optimizer or self.usual_optimizer)(leaves)

    @property
    @abc.abstractmethod
    def usual_optimizer(self) -> MakeOptimizer:
        """The optimizer of the source."""

    @property
    def visits(self) -> int:
        """The number of times that are visited in all."""
        return self.steps

    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        together = type(self.make_optimizer([torch.zeros(1, requires_grad=True)])) in ELEMENTWISE
        variables = Variables(self.start(problem), together)
        optimizer = self.make_optimizer(variables.flat)
        update = self.updates(problem, variables, optimizer)
        times = self.plan.draw(self.visits, problem.prior.schedule.T, problem.rng)
        for i, t in enumerate(times.unflatten(0, (self.steps, -1))):
            for group in optimizer.param_groups:
                group["lr"] = self.lr * (1 - (1 - self.lr_end) * i / self.steps)
            update([one.squeeze() for one in t], i)
            with torch.no_grad():
                yield self.image(problem, *variables.parts())

    def updates(
        self, problem: Problem, variables: Variables, optimizer: optim.Optimizer
    ) -> Callable[[list[Tensor], int], None]:
        """What makes one step of a run, given the times visited in it and its number."""

        def update(t: list[Tensor], i: int) -> None:
            variables.step(optimizer, variables.gradients(functools.partial(self.loss, problem, t, i)))

        return update

    def start(self, problem: Problem) -> tuple[Tensor, ...]:
        """The first values of the variables, shape ``(B, ...)`` each."""
        return (self.first_image(problem),)

    def first_image(self, problem: Problem) -> Tensor:
        """The first image, shape ``(B, C, H, W)``."""
        if self.start_from == "noise":
            return problem.noise()
        A, y = problem.measurement.operator, problem.y
        if self.start_from != "wiener" or not isinstance(A, LinearOperator):
            return A.pinv(y)
        variance = problem.measurement.variance(y)
        tiny = torch.finfo(variance.dtype).tiny
        x = A.prox(torch.zeros(problem.shape, device=y.device), y, variance.clamp(min=tiny))
        return x if (variance > 0).all() else torch.where(variance > 0, x, A.pinv(y))  # for each image

    def image(self, problem: Problem, mu: Tensor) -> Tensor:
        """The image that the variables stand for, shape ``(B, C, H, W)``."""
        return mu

    @abc.abstractmethod
    def loss(self, problem: Problem, t: list[Tensor], i: int, mu: Tensor) -> Tensor:
        """The loss at step i, a scalar: the sum over images of means over pixels.

        Args:
            problem: The problem.
            t: The times visited in this step, shape ``()`` or ``(B,)`` each.
            i: The step.
            mu: The variables.
        """
