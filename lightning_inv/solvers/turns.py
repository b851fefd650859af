"""Steps on the prior and on the constraints in turns."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_inv.solvers.descent import Variables

Loss = Callable[[list[Tensor], int, Tensor], Tensor]
"""A scalar, given the times of a step, its number, and the variables."""


@dataclass(frozen=True)
class Turns:
    """Each step is one of the prior, then one of the constraints, by the same optimizer.

    The gradient of the constraints of an image is cut to a share of the norm that the gradient of its prior
    had lately. Optimizers that divide by the size of gradients, such as Adam, undo part of that, and their
    momentum moves the image in the second step even where no constraint pulls.

    Source: the code of Graikos et al. (2022) for faces.

    Args:
        share: The norm of the constraints' gradient, over that of the prior's, at most.
        memory: The running mean of the prior's norm keeps this much of itself at each step.

    Raises:
        ValueError: A setting is out of its range.
    """

    share: float = 0.1
    memory: float = 0.5

    def __post_init__(self) -> None:
        if not self.share >= 0 or not 0 <= self.memory < 1:
            raise ValueError(
                f"Turns needs share of at least 0 and memory in [0, 1), got {self.share} and {self.memory}."
            )

    def updates(
        self, prior: Loss, constraint: Loss, variables: Variables, optimizer: torch.optim.Optimizer
    ) -> Callable[[list[Tensor], int], None]:
        """What makes one step of a run, given the times visited in it and its number."""
        lately: list[Tensor] = []

        def update(t: list[Tensor], i: int) -> None:
            gradients = variables.gradients(lambda *parts: prior(t, i, *parts))
            variables.step(optimizer, gradients)
            norms = [norm_of(gradient) for gradient in gradients]
            means = [self.memory * old + (1 - self.memory) * new for old, new in zip(lately, norms)]  # noqa: B905
            lately[:] = means or norms
            pulls = variables.gradients(lambda *parts: constraint(t, i, *parts))
            pairs = zip(pulls, lately, strict=True)
            variables.step(optimizer, [cut(pull, self.share * norm) for pull, norm in pairs])

        return update


def norm_of(gradient: Tensor) -> Tensor:
    """The norm of the gradient of each image, shape ``(B, 1, ...)``."""
    return gradient.flatten(1).norm(dim=1).view(-1, *(1,) * (gradient.ndim - 1))


def cut(gradient: Tensor, norm: Tensor) -> Tensor:
    """The gradient, shape ``(B, ...)``, shortened in each image to this norm if it is longer."""
    tiny = torch.finfo(gradient.dtype).tiny
    return gradient * (norm / norm_of(gradient).clamp(min=tiny)).clamp(max=1.0)
