r"""Noise schedules, and the notation of the whole package.

A schedule maps a time t = 0, ..., T to the signal and noise scales of

    x_t = alpha_t x + sigma_t eps,    eps ~ N(0, I).

- ``x`` is an image in [-1, 1], shape ``(B, C, H, W)``.
- Time 0 is clean: alpha_0 = 1 and sigma_0 = 0, so no solver has a case for its last step.
- alpha_t is sqrt(alpha-bar_t) of Ho et al. (2020). The noise relative to the signal, called sigma_t in papers
  with variance-exploding coordinates, is ``sigma_t / alpha_t`` here.
- A step goes from ``t`` to ``s < t``.
- ``y`` is what was seen, ``A`` the operator, ``A.s`` its singular values.
- ``sigma_y`` is the standard deviation of the noise of y in units of x, that is, of images in [-1, 1].
"""

import abc
import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lightning_inv.recipes import Recorded

Spacing = Literal["even", "uniform", "quadratic", "sigma"]
"""How the times of a grid are spaced: evenly from a step below T, as DDRM and RED-diff do; evenly with T
itself, as guided diffusion does; quadratically, dense where there is little noise; or so that
(sigma_t / alpha_t)^(1/7) is even, as Karras et al. (2022) do, which needs a schedule."""


LONGEST = 10**6
"""The most times of a schedule; it may come from a stranger's file."""


class Schedule(Recorded, nn.Module, abc.ABC):
    """A variance-preserving schedule given by its betas.

    Attributes:
        alpha: Signal scales of t = 0..T, shape ``(T + 1,)``.
        sigma: Noise scales of t = 0..T, shape ``(T + 1,)``.
    """

    alpha: Tensor
    sigma: Tensor

    def __init__(self, betas: Tensor) -> None:
        super().__init__()
        alpha_bar = torch.cat([torch.ones(1, dtype=torch.double), torch.cumprod(1 - betas.double(), 0)])
        self.register_buffer("alpha", alpha_bar.sqrt().float(), persistent=False)
        self.register_buffer("sigma", (1 - alpha_bar).sqrt().float(), persistent=False)

    @property
    def T(self) -> int:
        """The last time."""
        return len(self.alpha) - 1

    def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Scales alpha_t, sigma_t: scalars for a scalar t, shape ``(B, 1, 1, 1)`` for t of shape ``(B,)``."""
        shape = (-1, 1, 1, 1) if t.ndim else ()
        return self.alpha[t].view(shape), self.sigma[t].view(shape)

    def timesteps(self, steps: int, spacing: Spacing = "even") -> Tensor:
        """The grid of ``time_grid`` for the times of this schedule, and "sigma", which depends on it."""
        if spacing != "sigma":
            return time_grid(steps, self.T, spacing)
        need_steps(steps, self.T)
        nearest, k = self.levels(steps).flip(0) - 1, torch.arange(steps)
        distinct = ((nearest - k).cummax(0).values + k).minimum(self.T - steps + k)
        return torch.cat([distinct.flip(0) + 1, k[:1]])

    def levels(self, count: int, high: float | None = None, low: float | None = None) -> Tensor:
        """Times between two noise levels, shape ``(count,)``, on the CPU; (sigma_t / alpha_t)^(1/7) is even.

        Args:
            count: How many; a time may come more than once.
            high: sigma_t / alpha_t at the first; that of T if None.
            low: sigma_t / alpha_t at the last; that of time 1 if None.
        """
        root = (self.sigma[1:] / self.alpha[1:]).double().cpu() ** (1 / 7)
        first, last = (
            end if level is None else torch.tensor(level, dtype=root.dtype) ** (1 / 7)
            for level, end in ((high, root[-1]), (low, root[0]))
        )
        wanted = torch.linspace(1, 0, count).to(root) * (first - last) + last
        return (root - wanted[:, None]).abs().argmin(1) + 1


def need_steps(steps: int, T: int) -> None:
    """Raises ValueError unless there are so many times."""
    if not 1 <= steps <= T:
        raise ValueError(f"steps must be in [1, {T}], got {steps}.")


def time_grid(steps: int, T: int, spacing: Spacing = "even") -> Tensor:
    """The grid t_0 > ... > t_steps = 0 of exactly ``steps`` steps, shape ``(steps + 1,)``, on the CPU.

    Even: t_i = 1 + floor((steps - 1 - i) T / steps), then 0. For steps that divide T this is the grid of the
    DDRM and RED-diff code (951, 901, ..., 1, 0 for 20 steps of 1000). Theirs takes more steps than asked for
    when they do not divide T; ours never does. Quadratic: the k-th time from the end is k^2 T / steps^2,
    rounded up, and at least k: dense where there is little noise. Uniform: from T to 1, rounded.

    Args:
        steps: The number of steps.
        T: The last time of the schedule.
        spacing: How the times are spaced.

    Raises:
        ValueError: ``steps`` is not in [1, T].
    """
    need_steps(steps, T)
    k = torch.arange(steps, -1, -1)
    if spacing == "sigma":
        raise ValueError("the spacing 'sigma' is one of samplers, which know the schedule.")
    if spacing == "uniform":
        rest = (T - 1) / max(steps - 1, 1)
        return torch.where(k > 0, T - ((steps - k) * rest).round(), 0).long()
    if spacing == "quadratic":
        return torch.maximum(-(-(k**2) * T // steps**2), k)
    if spacing != "even":
        raise ValueError(f"spacing must be one of {', '.join(get_args(Spacing))}, got {spacing!r}.")
    return torch.where(k > 0, 1 + (k - 1) * T // steps, 0)


def _check_length(T: int) -> int:
    if not 1 <= T <= LONGEST:
        raise ValueError(f"T must be in [1, {LONGEST}], got {T}.")
    return T


class LinearSchedule(Schedule):
    """Betas that grow linearly.

    Source: Ho et al. (2020), Denoising Diffusion Probabilistic Models, https://arxiv.org/abs/2006.11239.

    Args:
        T: The last time.
        beta_min: The first beta; 0.1 / T if None, which is that of the paper for T = 1000.
        beta_max: The last beta; 20 / T if None, at most 0.999.
    """

    def __init__(self, T: int = 1000, beta_min: float | None = None, beta_max: float | None = None) -> None:
        _check_length(T)
        beta_min = min(0.1 / T, 0.999) if beta_min is None else beta_min
        beta_max = max(min(20 / T, 0.999), beta_min) if beta_max is None else beta_max
        if not 0 < beta_min <= beta_max < 1:
            raise ValueError(f"betas must obey 0 < beta_min <= beta_max < 1, got {beta_min} and {beta_max}.")
        super().__init__(torch.linspace(beta_min, beta_max, T, dtype=torch.double))


class CosineSchedule(Schedule):
    """alpha_t^2 = f(t) / f(0), f(t) = cos^2((t / T + offset) / (1 + offset) pi / 2), betas clipped at 0.999.

    Source: Nichol & Dhariwal (2021), https://arxiv.org/abs/2102.09672, equation 17.

    Args:
        T: The last time.
        offset: Keeps the first betas away from zero.
    """

    def __init__(self, T: int = 1000, offset: float = 0.008) -> None:
        if not 0 <= offset < math.inf:
            raise ValueError(f"CosineSchedule.offset must be at least 0 and finite, got {offset}.")
        u = torch.arange(_check_length(T) + 1, dtype=torch.double) / T
        alpha_bar = torch.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2
        super().__init__((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999))
