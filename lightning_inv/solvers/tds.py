"""Twisted particles.

Source: Wu et al. (2023), Practical and Asymptotically Exact Conditional Sampling in Diffusion Models,
https://arxiv.org/abs/2306.17775, algorithm 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.operators import LinearOperator, SVDOperator
from lightning_inv.schedules import Spacing
from lightning_inv.solvers.base import GAUSSIAN, Problem, Solver, need_shares
from lightning_inv.solvers.moment_matching import moment_matched, need_iterations
from lightning_inv.solvers.sampler import ddim_step, fresh_noise


class Cloud(NamedTuple):
    """The particles of each image at a time t."""

    x_t: Tensor
    """Shape ``(P, B, C, H, W)``, as all images below."""
    x: Tensor
    """E[x | x_t]."""
    guided: Tensor
    """E[x | x_t, y], by matching moments."""
    twist: Tensor
    """The logarithm of what stands for p(y | x_t), shape ``(P, B)``."""

    def taken(self, chosen: Tensor) -> "Cloud":
        """The particles of these numbers, shape ``(P, B)``."""
        images = torch.arange(chosen.shape[1], device=chosen.device)
        return Cloud(*(part[chosen, images] for part in self))


@dataclass(frozen=True)
class TDS(Solver):
    """Particles that are led by an approximation of p(y | x_t), and weighted by how far it was off.

    Each particle moves as by MMPS, by steps of a second-order SDE solver. With p the step of the prior, q the
    one that was led and psi what is taken for p(y | x_t), its weight is multiplied by

        p(x_s | x_t) psi(x_s) / (q(x_s | x_t) psi(x_t)),

    and where few particles carry the weight, they are drawn anew. One is drawn at the end. As particles and
    steps grow, it is a draw of the posterior whatever psi is; how many are needed is a matter of psi. That of
    the paper is N(y; A x_hat, sigma_y^2 I); this one matches moments, less a determinant, and for a Gaussian
    prior it is exact. It must be right at the last time: where no singular values are known, conjugate
    gradients take 20 steps there, and noise far below the singular values may need more.

    Args:
        steps: The number of denoising steps.
        particles: The particles of each image.
        iterations: The steps of conjugate gradients that match moments. A step takes one forward evaluation
            a particle, and so many backward ones.
        threshold: Particles are drawn anew if fewer than this share are left in effect, in [0, 1].
        spacing: How the times are spaced.
    """

    requires = LinearOperator
    noises = GAUSSIAN

    steps: int = 50
    particles: int = 4
    iterations: int = 2
    threshold: float = 0.5
    spacing: Spacing = "sigma"

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_shares(self, "threshold")
        need_iterations(self)
        if self.particles < 1:
            raise ValueError(f"TDS.particles must be at least 1, got {self.particles}.")

    @torch.no_grad()
    def iterates(self, problem: Problem) -> Iterator[Tensor]:
        times = problem.prior.schedule.timesteps(self.steps, self.spacing)
        x_t, log_weight, before = self.noise(problem), torch.zeros(()), None
        for i, (t, s) in enumerate(pairwise(times)):
            cloud = self.look(problem, x_t, t, last=i == self.steps - 1)
            chosen, log_weight = self.chosen(log_weight + cloud.twist, problem.rng.uniform())
            cloud, before = cloud.taken(chosen), before and (before[0].taken(chosen), before[1])
            if i == self.steps - 1:
                break
            yield (weights(log_weight)[..., None, None, None] * cloud.guided).sum(0)
            x_t, log_ratio = self.moved(problem, cloud, before, t, s)
            log_weight, before = log_weight + log_ratio - cloud.twist, (cloud, t)
        yield one_of(cloud.guided, log_weight, problem.rng.uniform())

    def noise(self, problem: Problem) -> Tensor:
        """White noise, shape ``(P, B, C, H, W)``."""
        return problem.rng.normal((self.particles, *problem.prior.shape)).transpose(0, 1)

    def look(self, problem: Problem, x_t: Tensor, t: Tensor, last: bool) -> Cloud:
        """Moments of each particle; one after the other, since masks and kernels are those of one batch."""
        many = last and not isinstance(problem.measurement.operator, SVDOperator)
        iterations = max(self.iterations, 20) if many else self.iterations
        matched = [moment_matched(problem, one, t, iterations) for one in x_t]
        return Cloud(x_t, *(torch.stack(parts) for parts in zip(*matched, strict=True)))

    def moved(
        self, problem: Problem, cloud: Cloud, before: tuple[Cloud, Tensor] | None, t: Tensor, s: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draws x_s of each particle, and gives log p(x_s | x_t) - log q(x_s | x_t), shape ``(P, B)``.

        Both steps extrapolate their estimates from the time before, linearly in log(alpha / sigma).

        Source: Lu et al. (2022), DPM-Solver++, https://arxiv.org/abs/2211.01095, SDE-DPM-Solver++(2M).
        """
        prior = problem.prior

        def snr(time: Tensor) -> Tensor:
            alpha, sigma = prior.schedule(time)
            return (alpha / sigma).log()

        means = []
        for part in ("x", "guided"):
            x = getattr(cloud, part)
            if before is not None:
                ahead = (snr(s) - snr(t)) / (snr(t) - snr(before[1])) / 2
                x = x + ahead * (x - getattr(before[0], part))
            means.append(ddim_step(prior.schedule, prior.from_x(x, cloud.x_t, t), t, s, None, eta=1.0))
        width, noise = fresh_noise(prior.schedule, t, s, eta=1.0), self.noise(problem)
        led = (means[1] - means[0]) / width
        return means[1] + width * noise, -(led * (led / 2 + noise)).flatten(2).sum(2)

    def chosen(self, log_weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Which particles go on, shape ``(P, B)``, and their logarithmic weights, by systematic resampling.

        Args:
            log_weight: The logarithmic weights, shape ``(P, B)``.
            u: A uniform number an image, shape ``(B,)``.
        """
        P, weight = self.particles, weights(log_weight)
        places = (torch.arange(P, device=u.device)[:, None] + u) / P
        drawn = torch.searchsorted(weight.cumsum(0).mT.contiguous(), places.mT.contiguous()).mT
        few = weight.square().sum(0).reciprocal() < self.threshold * P
        stay = torch.arange(P, device=u.device)[:, None].expand_as(drawn)
        return torch.where(few, drawn.clamp(max=P - 1), stay), torch.where(few, 0.0, log_weight)


def weights(log_weight: Tensor) -> Tensor:
    """The weights, of sum 1; where the logarithm is no number it is 0, and if none is left all are alike."""
    log_weight = log_weight.nan_to_num(nan=-torch.inf, posinf=-torch.inf)
    none = (log_weight == -torch.inf).all(0)
    return torch.where(none, 0.0, log_weight).softmax(0)


def one_of(images: Tensor, log_weight: Tensor, u: Tensor) -> Tensor:
    """One of the particles of each image, drawn by weight, shape ``(B, C, H, W)``."""
    places = (weights(log_weight).cumsum(0) < u).sum(0).clamp(max=len(images) - 1)
    return images[places, torch.arange(len(u), device=u.device)]
