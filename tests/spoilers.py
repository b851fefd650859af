"""Solvers that fail for some images: the darkest of five digits, or one whose noise happens to be so."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lightning_inv.solvers import Problem, PseudoInverse, Solver

DARK = 1
"""The index of the darkest."""


def dark(y: Tensor, below: float = -28.0) -> Tensor:
    """Whether an image is the darkest, seen as it is but for a little noise, shape ``(B,)``."""
    return y.flatten(1).sum(1) < below


@dataclass(frozen=True)
class Spoiled(Solver):
    """Gives y, and the darkest image a number that is none in its second step of three."""

    steps: int = 3
    below: float = -28.0

    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        for step in range(self.steps):
            x = problem.y.clone()
            x[dark(x, self.below), 0, 2, 3] *= math.nan if step else 1.0
            yield x


@dataclass(frozen=True)
class Singular(PseudoInverse):
    """Cannot decompose a matrix of the darkest image, which stops the whole batch."""

    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        torch.linalg.eigh(torch.where(dark(problem.y)[:, None, None], math.nan, torch.eye(3)))
        yield from super().iterates(problem)


@dataclass(frozen=True)
class Chancy(PseudoInverse):
    """Draws samples, of which some are infinite."""

    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        noise = problem.noise()
        bad = noise[:, :1, :1, :1] > 1
        yield torch.where(bad, math.inf, problem.y + noise / 10)


@dataclass(frozen=True)
class Greedy(PseudoInverse):
    """Takes more memory than there is for more than so many images, and after so many tries."""

    most: int = 2
    tries: int = 99
    held: ClassVar[list[int]] = []
    """The images of each try."""

    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        self.held.append(len(problem.y))
        problem.denoise(problem.noise(), torch.tensor(5))
        if self.tries < 0:
            torch.zeros(3) + torch.zeros(4)
        if len(problem.y) > self.most or len(self.held) > self.tries:
            torch.empty(2**60)
        yield problem.y + problem.noise() / 10
