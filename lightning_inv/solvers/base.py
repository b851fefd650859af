"""The two loops that all solvers share.

A solver holds hyper-parameters only. All that depends on the data is in the problem, so one solver serves
every batch and every device.
"""

import abc
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import LinearOperator, Operator, SVDOperator
from lightning_inv.schedules import Schedule, Spacing
from lightning_inv.solvers.plans import TimePlan


@dataclass(frozen=True)
class Problem:
    """What was seen, how it was seen, what is believed beforehand, and the random numbers of each image.

    Args:
        y: The measurements, shape ``(B, ...)``; None if nothing was seen.
        measurement: How they were made; None if nothing was seen.
        prior: The prior.
        rng: One stream an image, so that no image depends on its batch.
        label: Classes, shape ``(B,)``, for priors that know classes.
    """

    y: Tensor | None
    measurement: Measurement | None
    prior: Denoiser
    rng: NoiseStream
    label: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape ``(B, C, H, W)`` of the images sought."""
        return (len(self.rng), *self.prior.shape)

    def noise(self) -> Tensor:
        """White noise in the shape of the images sought."""
        return self.rng.normal(self.prior.shape)

    def denoise(self, x_t: Tensor, t: Tensor) -> Estimate:
        """The prior's estimate."""
        return self.prior(x_t, t, self.label)

    def energy(self, x: Tensor) -> Tensor:
        """The energy of each image, averaged over the entries of y, shape ``(B,)``."""
        return self.measurement(x, self.y) / self.y[0].numel()


REASONS = {
    Operator: "a measurement",
    LinearOperator: "a linear operator",
    SVDOperator: "a linear operator with a singular value decomposition",
}


@dataclass(frozen=True)
class Solver(abc.ABC):
    """Estimates x from a problem.

    Args:
        steps: The number of steps.
    """

    requires: ClassVar[type[Operator] | None] = Operator
    """The kind of operator needed; None for solvers that look at no measurement."""

    steps: int

    def __call__(self, problem: Problem) -> Tensor:
        """Solves for x, shape ``(B, C, H, W)``.

        Raises:
            TypeError: The operator is not of the kind that the solver needs.
            ValueError: A setting does not fit the prior.
        """
        self.check(problem.prior, problem.measurement)
        return deque(self.iterates(problem), maxlen=1).pop()

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        """Finds before any work what the solver cannot do; the errors are those of a call."""
        operator = measurement.operator if measurement else None
        if self.requires is not None and not isinstance(operator, self.requires):
            got = "none" if operator is None else type(operator).__name__
            needed = REASONS.get(self.requires, self.requires.__name__)
            raise TypeError(f"{type(self).__name__} needs {needed}, got {got}.")
        if not 1 <= self.steps <= prior.schedule.T:
            raise ValueError(
                f"{type(self).__name__}.steps must be in [1, {prior.schedule.T}], the times of the prior, "
                f"got {self.steps}."
            )

    @property
    def length(self) -> int:
        """The number of images that ``iterates`` yields."""
        return self.steps

    @abc.abstractmethod
    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        """Yields the image after each step; who wants progress, previews or a film loops over it.

        An image yielded may change at the next step: clone it to keep it.
        """


@dataclass(frozen=True)
class Sampler(Solver):
    """Walks x_t from noise to an image; subclasses say how to go from t to s < t.

    Args:
        steps: The number of denoising steps.
        spacing: How the times are spaced: evenly, or quadratically, dense where there is little noise.
    """

    spacing: Spacing = field(default="even", kw_only=True)

    @torch.no_grad()
    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        times = problem.prior.schedule.timesteps(self.steps, self.spacing).to(problem.rng.device)
        x_t = self.start(problem, times[0])
        for t, s in pairwise(times):
            x_t = self.step(problem, x_t, t, s)
            yield x_t

    def start(self, problem: Problem, t: Tensor) -> Tensor:
        """Draws x_t at the first time."""
        return problem.noise()

    @abc.abstractmethod
    def step(self, problem: Problem, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Draws x_s given x_t."""


Start = Literal["pinv", "wiener", "noise"]
"""Where a descent begins: at the pseudo-inverse A^+ y; at argmin |y - A x|^2 + sigma_y^2 |x|^2 ("wiener"), in
which noise is not amplified (for operators that are not linear, as "pinv"); or at white noise."""


@dataclass(frozen=True)
class Descent(Solver):
    """Moves an image mu down a loss that is drawn anew at every time.

    Args:
        steps: The number of gradient steps.
        plan: The times of the steps.
        start_from: The first image.
    """

    plan: TimePlan = field(kw_only=True)
    start_from: Start = field(kw_only=True)

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        self.times(prior)

    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        mu = self.start(problem).detach().clone().requires_grad_()
        optimizer = self.optimizer(mu)
        scale = 2.0 ** (mu[0].numel() - 1).bit_length()  # keeps gradients of means within 16 bits
        for i, t in enumerate(self.times(problem.prior).to(problem.rng.device)):
            with torch.enable_grad():
                (gradient,) = torch.autograd.grad(scale * self.loss(problem, mu, t, i), mu)
            mu.grad = gradient / scale
            optimizer.step()
            yield mu.detach()

    @abc.abstractmethod
    def optimizer(self, mu: Tensor) -> torch.optim.Optimizer:
        """The optimizer of mu; it must treat each pixel on its own, or images depend on their batch."""

    def start(self, problem: Problem) -> Tensor:
        """The first mu, shape ``(B, C, H, W)``."""
        if self.start_from == "noise":
            return problem.noise()
        A, sigma_y = problem.measurement.operator, problem.measurement.sigma
        if self.start_from == "wiener" and isinstance(A, LinearOperator) and sigma_y > 0:
            return A.prox(torch.zeros(problem.shape, device=problem.y.device), problem.y, sigma_y**2)
        return A.pinv(problem.y)

    def times(self, prior: Denoiser) -> Tensor:
        """The time of every step, shape ``(steps,)``."""
        return self.plan.times(self.steps, prior.schedule.T)

    @abc.abstractmethod
    def loss(self, problem: Problem, mu: Tensor, t: Tensor, i: int) -> Tensor:
        """The loss at step i, a scalar: the sum over images of means over pixels."""


def need_nonnegative(solver: Solver, *names: str) -> None:
    """Raises ValueError unless these settings are numbers of at least 0."""
    for name in names:
        if not getattr(solver, name) >= 0:
            raise ValueError(
                f"{type(solver).__name__}.{name} must be at least 0, got {getattr(solver, name)}."
            )


def ddim_step(
    schedule: Schedule, estimate: Estimate, t: Tensor, s: Tensor, noise: Tensor | None, eta: float
) -> Tensor:
    """Draws x_s from the estimate at t; eta = 1 is DDPM, eta = 0 is deterministic.

    x_s = alpha_s x + sqrt(sigma_s^2 - c^2) eps + c noise,
    with c = eta (sigma_s / sigma_t) sqrt(1 - (alpha_t / alpha_s)^2).

    Source: Song et al. (2021), https://arxiv.org/abs/2010.02502, equations 12 and 16.
    """
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(t), schedule(s)
    fresh = eta * sigma_s / sigma_t * (1 - (alpha_t / alpha_s) ** 2).sqrt()
    kept = (sigma_s**2 - fresh**2).clamp(min=0).sqrt()
    x_s = alpha_s * estimate.x + kept * estimate.eps
    return x_s if noise is None else x_s + fresh * noise
