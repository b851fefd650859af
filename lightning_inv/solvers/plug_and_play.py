"""Diffusion models as plug-and-play priors.

Source: Graikos et al. (2022), https://arxiv.org/abs/2206.09012, algorithm 1.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.settings import need_nonnegative
from lightning_inv.solvers.base import Problem
from lightning_inv.solvers.descent import Descent, MakeOptimizer, Start, Variables
from lightning_inv.solvers.latent import Latent
from lightning_inv.solvers.plans import Oscillating, TimePlan
from lightning_inv.solvers.sampler import ddim_step
from lightning_inv.solvers.terms import Anneal, Term, share_of
from lightning_inv.solvers.turns import Turns
from lightning_inv.solvers.weightings import Weighting, check_weighting, weight_of


@dataclass(frozen=True)
class PlugAndPlay(Descent):
    """Descends the denoising loss of an image, through the network, together with its constraints.

    Each step draws one eps and goes down

        w(s) |eps - eps_hat(alpha_t mu + sigma_t eps)|^2 / pixels
            + weight_i |y - A(mu)|^2 / (2 entries of y) + the ``terms``

    with s = sigma_t / alpha_t. The paper has w = 1 ("const"); "square" makes the loss that of the image,
    |mu - x_hat|^2, and "linear" without the Jacobian makes its gradient the residual mu - x_hat of RED-diff.
    The defaults are those of the MNIST experiment. Its constraints see the image clipped to [-1, 1], as
    terms do here; a measurement sees it as it is, since noise takes y out of that range. Without a
    measurement, terms alone guide what the prior makes up. A step costs a forward evaluation of the network,
    and a backward one with the Jacobian.

    Args:
        steps: The number of gradient steps.
        lr: The learning rate, whatever the optimizer.
        weight: The weight of the measurement at the first step.
        anneal: How it changes, see ``Anneal``: by default it falls linearly to 0.
        terms: More constraints, each by a name of one's choice.
        weighting: The function w, by name, see ``WEIGHTINGS``, or any function.
        plan: The times of the steps.
        jacobian: Whether the network is differentiated. If not, the prior's gradient is
            2 w(s) (eps_hat - eps) / pixels.
        turns: Prior and constraints make steps of their own in turns; None for steps on their sum.
        latent: What is moved instead of pixels; it has a start of its own.
        finish: The image is denoised by DDPM from this time on at the end; 0 to leave it.
        renoise: Whether it is noised to that time first. The code for faces does not do it, which shows
            the network a clean image in the place of a noisy one.
        start_from: The first image: white noise as published, or see ``Start``.
        optimizer: Any optimizer of PyTorch that needs no closure; Adam if None.
        lr_end: The learning rate falls linearly to this share of ``lr``.
    """

    usual_optimizer: ClassVar[MakeOptimizer] = torch.optim.Adam

    steps: int = 1000
    lr: float = 0.01
    weight: float = 0.01
    anneal: Anneal = True
    terms: dict[str, Term] = field(default_factory=dict)
    weighting: Weighting = "const"
    plan: TimePlan = field(default_factory=Oscillating)
    jacobian: bool = True
    turns: Turns | None = None
    latent: Latent | None = None
    finish: int = 0
    renoise: bool = True
    start_from: Start = "noise"

    @property
    def length(self) -> int:
        return self.steps + self.finish

    def accepts(self, measurement: Measurement | None) -> bool:
        return (measurement is None and bool(self.terms)) or super().accepts(measurement)

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        if measurement is None and not self.terms:
            raise TypeError("PlugAndPlay needs a measurement or terms, got none.")
        super().check(prior, measurement)
        need_nonnegative(self, "weight")
        check_weighting(self.weighting, "PlugAndPlay")
        if not 0 <= self.finish <= prior.schedule.T:
            raise ValueError(f"PlugAndPlay.finish must be in [0, {prior.schedule.T}], got {self.finish}.")
        if (measurement is None or self.latent) and self.start_from != "noise":
            raise ValueError(
                f"PlugAndPlay.start_from must be noise without y or with a latent, got {self.start_from!r}."
            )
        if not isinstance(self.terms, dict) or not all(isinstance(t, Term) for t in self.terms.values()):
            raise TypeError(f"PlugAndPlay.terms must be Terms by their names, got {self.terms!r}.")
        for part in (self.latent, *(term.constraint for term in self.terms.values())):
            if part is not None and not prior.any_size:  # of a prior of any size once the shape is known
                part.check(prior.shape)

    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        x = None
        for x in super().iterates(problem):
            yield x
        yield from self._finish(problem, x)

    @torch.no_grad()
    def _finish(self, problem: Problem, x: Tensor) -> Iterator[Tensor]:
        """Noises the image to time ``finish`` and denoises it step by step."""
        if not self.finish:
            return
        schedule = problem.prior.schedule
        times = torch.arange(self.finish, -1, -1, device=x.device)
        alpha_t, sigma_t = schedule(times[0])
        x_t = alpha_t * x + sigma_t * problem.noise() if self.renoise else x
        for t, s in pairwise(times):
            x_t = ddim_step(schedule, problem.denoise(x_t, t), t, s, problem.noise(), eta=1.0)
            yield x_t

    def start(self, problem: Problem) -> tuple[Tensor, ...]:
        return super().start(problem) if self.latent is None else (self.latent.start(problem.rng),)

    def image(self, problem: Problem, mu: Tensor) -> Tensor:
        return mu if self.latent is None else self.latent(mu)

    def updates(
        self, problem: Problem, variables: Variables, optimizer: torch.optim.Optimizer
    ) -> Callable[[list[Tensor], int], None]:
        if self.turns is None:
            return super().updates(problem, variables, optimizer)

        def prior(t: list[Tensor], i: int, mu: Tensor) -> Tensor:
            return self.prior_loss(problem, t[0], self.image(problem, mu))

        def constraint(t: list[Tensor], i: int, mu: Tensor) -> Tensor:
            return self.constraint_loss(problem, i, self.image(problem, mu))

        return self.turns.updates(prior, constraint, variables, optimizer)

    def loss(self, problem: Problem, t: list[Tensor], i: int, mu: Tensor) -> Tensor:
        x = self.image(problem, mu)
        return self.prior_loss(problem, t[0], x) + self.constraint_loss(problem, i, x)

    def prior_loss(self, problem: Problem, t: Tensor, x: Tensor) -> Tensor:
        """The denoising loss of images at a time, a scalar."""
        alpha_t, sigma_t = problem.prior.schedule(t)
        eps = problem.noise()
        x_t = alpha_t * x + sigma_t * eps
        if self.jacobian:
            error = (problem.denoise(x_t, t).eps - eps).square()
        else:
            with torch.no_grad():
                eps_hat = problem.denoise(x_t, t).eps
            error = 2 * (eps_hat - eps) * x
        return (weight_of(self.weighting, sigma_t / alpha_t).flatten() * error.flatten(1).mean(1)).sum()

    def constraint_loss(self, problem: Problem, i: int, x: Tensor) -> Tensor:
        """The weighted energies of all constraints at step i, a scalar."""
        over = i / self.steps
        energy = sum(term(x, problem.y, problem.rng, over) for term in self.terms.values())
        if problem.measurement is not None:
            energy = energy + self.weight * share_of(self.anneal, over) * problem.energy(x)
        return energy.sum()
