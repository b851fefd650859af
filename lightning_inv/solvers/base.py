"""What a solver is given, and what it promises.

A solver holds hyper-parameters only. All that depends on the data is in the problem, so one solver serves
every batch and every device.
"""

import abc
import dataclasses
import inspect
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args, get_origin

import torch
from torch import Tensor, nn

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate
from lightning_inv.noise import NoiseStream
from lightning_inv.noise_models import GaussianNoise, Noise, VaryingNoise
from lightning_inv.operators import Coding, LinearOperator, Operator, SVDOperator
from lightning_inv.solvers.spectrum import Spectrum


@dataclass(frozen=True)
class Problem:
    """What was seen, how it was seen, what is believed beforehand, and the random numbers of each image.

    Args:
        y: The measurements, shape ``(B, ...)``; None if nothing was seen.
        measurement: How they were made; None if nothing was seen.
        prior: The prior.
        rng: One stream an image, so that no image depends on its batch.
        label: Classes, shape ``(B,)``, for priors that know classes.

    Raises:
        ValueError: The prior is one of images of any size.
    """

    y: Tensor | None
    measurement: Measurement | None
    prior: Denoiser
    rng: NoiseStream
    label: Tensor | None = None

    def __post_init__(self) -> None:
        if self.prior.any_size:
            raise ValueError("the prior is one of images of any size: a SizedDenoiser tells it one.")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape ``(B, C, H, W)`` of the images sought."""
        return (len(self.rng), *self.prior.shape)

    @cached_property
    def sigma_y(self) -> Tensor:
        """The standard deviation of white Gaussian noise in y, shape ``(B or 1, 1, 1, 1)``.

        Raises:
            TypeError: The noise is of another kind, or differs from entry to entry.
        """
        sigma = self.measurement.sigma
        if sigma is None or torch.as_tensor(sigma).ndim > 1:
            raise TypeError("the noise must be Gaussian and alike for all entries of y.")
        return torch.as_tensor(sigma, dtype=self.y.dtype, device=self.y.device).view(-1, 1, 1, 1)

    @cached_property
    def spectrum(self) -> Spectrum:
        """What y says of each singular direction, for operators that know them."""
        return Spectrum.of(self.measurement.operator, self.y, self.sigma_y)

    @cached_property
    def matrix(self) -> Tensor:
        """A linear operator as a matrix of each image, shape ``(B, m, n)``: for small images only."""
        units = torch.eye(math.prod(self.prior.shape), device=self.y.device).view(-1, 1, *self.prior.shape)
        columns = [self.measurement.operator(unit.expand(self.shape)).flatten(1) for unit in units]
        return torch.stack(columns, 2)

    def noise(self) -> Tensor:
        """White noise in the shape of the images sought."""
        return self.rng.normal(self.prior.shape)

    def denoise(self, x_t: Tensor, t: Tensor) -> Estimate:
        """The prior's estimate."""
        return self.prior(x_t, t, self.label)

    def energy(self, x: Tensor) -> Tensor:
        """The energy of each image, averaged over the entries of y, shape ``(B,)``."""
        return self.measurement.per_entry(x, self.y)


GAUSSIAN: tuple[type[Noise], ...] = (GaussianNoise, VaryingNoise)
"""The kinds of noise with one deviation an image, which is ``Problem.sigma_y``."""

REASONS = {
    Operator: "a measurement",
    LinearOperator: "a linear operator",
    SVDOperator: "a linear operator with a singular value decomposition",
    Coding: "an operator that codes images, such as JPEG",
}


@dataclass(frozen=True)
class Solver(abc.ABC):
    """Estimates x from a problem.

    Args:
        steps: The number of steps.
    """

    requires: ClassVar[type[Operator] | None] = Operator
    """The kind of operator needed; None for solvers that look at no measurement."""

    noises: ClassVar[tuple[type[Noise], ...]] = (Noise,)
    """The kinds of noise that it can deal with."""

    any_prior: ClassVar[bool] = True
    """Whether it can deal with every prior, or with some that are known in closed form."""

    steps: int

    def __call__(self, problem: Problem) -> Tensor:
        """Solves for x, shape ``(B, C, H, W)``.

        Raises:
            TypeError: The operator is not of the kind that the solver needs.
            ValueError: A setting does not fit the prior.
        """
        self.check(problem.prior, problem.measurement)
        if problem.y is not None and problem.y.dtype != torch.float32:
            raise TypeError(f"y must be in float32, got {str(problem.y.dtype).removeprefix('torch.')}.")
        return deque(self.iterates(problem), maxlen=1).pop()

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        """Finds before any work what the solver cannot do; the errors are those of a call."""
        if not self.accepts(measurement):
            raise TypeError(self._refusal(measurement))
        sigma = measurement.sigma if measurement is not None and Noise not in self.noises else None
        if isinstance(sigma, Tensor) and sigma.ndim > 1:
            raise TypeError(f"{type(self).__name__} needs noise that is alike for all entries of y.")
        need_choices(self)
        if not 1 <= self.steps <= prior.schedule.T:
            raise ValueError(
                f"{type(self).__name__}.steps must be in [1, {prior.schedule.T}], the times of the prior, "
                f"got {self.steps}."
            )

    def accepts(self, measurement: Measurement | None) -> bool:
        """Whether the solver, as it is set, can deal with this kind of operator and of noise."""
        return self.serves(measurement)

    def modules(self) -> list[nn.Module]:
        """The modules among the settings, such as a classifier; whoever calls the solver moves them."""
        return list(modules_among(self))

    @classmethod
    def serves(cls, measurement: Measurement | None) -> bool:
        """Whether the solver is made for this kind of operator and of noise."""
        if cls.requires is None:
            return True
        return (
            measurement is not None
            and isinstance(measurement.operator, cls.requires)
            and isinstance(measurement.noise, cls.noises)
        )

    def _refusal(self, measurement: Measurement | None) -> str:
        """Says what the solver needs, what it got, and which solvers can do it."""
        needed = REASONS.get(self.requires, self.requires.__name__)
        if measurement is None:
            return f"{type(self).__name__} needs {needed}, got none."
        got = type(measurement.operator).__name__
        if isinstance(measurement.operator, self.requires):
            needed = f"{' or '.join(kind.__name__ for kind in self.noises)}"
            got = type(measurement.noise).__name__
        able = sorted(
            kind.__name__
            for kind in kinds_of(Solver)
            if kind.requires and kind.any_prior and kind.serves(measurement)
        )
        other = f"; {' or '.join(able)} can do without." if able else "."
        return f"{type(self).__name__} needs {needed}, got {got}{other}"

    @property
    def length(self) -> int:
        """The number of images that ``iterates`` yields."""
        return self.steps

    @abc.abstractmethod
    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        """Yields the image after each step; who wants progress, previews or a film loops over it.

        An image yielded may change at the next step: clone it to keep it.
        """


def spread_over(values: Tensor, images: Tensor) -> Tensor:
    """One number an image, shape ``(B or 1, 1, ...)``, broadcastable to ``images``, shape ``(B, ...)``."""
    return values.view(-1, *(1,) * (images.ndim - 1))


def kinds_of(kind: type[Solver]) -> Iterator[type[Solver]]:
    """The final classes of this package below this one."""
    for child in kind.__subclasses__():
        if not inspect.isabstract(child) and child.__module__.startswith(__package__):
            yield child
        yield from kinds_of(child)


def modules_among(settings: Any) -> Iterator[nn.Module]:
    """The modules in settings: dataclasses, lists and dictionaries, one within another."""
    if isinstance(settings, nn.Module):
        yield settings
        return
    if dataclasses.is_dataclass(settings):
        settings = [getattr(settings, field.name) for field in dataclasses.fields(settings)]
    elif isinstance(settings, dict):
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        for part in settings:
            yield from modules_among(part)


def need_shares(solver: Solver, *names: str) -> None:
    """Raises ValueError unless these settings are numbers in [0, 1]."""
    for name in names:
        if not 0 <= getattr(solver, name) <= 1:
            raise ValueError(
                f"{type(solver).__name__}.{name} must be in [0, 1], got {getattr(solver, name)}."
            )


def need_choices(solver: Solver) -> None:
    """Raises ValueError unless each setting that is one of several words is one of them."""
    for field in dataclasses.fields(solver):
        words, value = get_args(field.type), getattr(solver, field.name)
        if get_origin(field.type) is Literal and value not in words:
            raise ValueError(
                f"{type(solver).__name__}.{field.name} must be one of {', '.join(words)}, got {value!r}."
            )


def need_pinv(who: str, measurement: Measurement, other: str) -> None:
    """Raises TypeError unless the operator has a pseudo-inverse; ``other`` is what can do without."""
    if not measurement.operator.invertible:
        kind = type(measurement.operator).__name__
        raise TypeError(f"{who} needs an operator with a pseudo-inverse, got {kind}; {other} can do without.")
