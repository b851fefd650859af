"""Score distillation.

Source: Poole et al. (2022), DreamFusion: Text-to-3D using 2D Diffusion, https://arxiv.org/abs/2209.14988,
equation 3; here with images for scenes, as in the code of RED-diff.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser
from lightning_inv.settings import need_nonnegative
from lightning_inv.solvers.base import Problem
from lightning_inv.solvers.descent import Descent, MakeOptimizer, Start
from lightning_inv.solvers.plans import Grid, TimePlan
from lightning_inv.solvers.reddiff import distillation
from lightning_inv.solvers.weightings import Weighting, check_weighting


@dataclass(frozen=True)
class SDS(Descent):
    """Moves noise towards the prior and looks at no measurement: RED-diff without its data term.

    Args:
        steps: The number of gradient steps.
        lr: The learning rate, whatever the optimizer.
        weight: The weight of the loss.
        weighting: The function w of sigma_t / alpha_t, by name, see ``WEIGHTINGS``, or any function.
        start_from: The first image.
        plan: The times.
        optimizer: Any optimizer of PyTorch that needs no closure; Adam with betas 0.9 and 0.99 if None.
        lr_end: The learning rate falls linearly to this share of ``lr``.
    """

    requires = None
    usual_optimizer: ClassVar[MakeOptimizer] = partial(torch.optim.Adam, betas=(0.9, 0.99))

    steps: int = 1000
    lr: float = 0.1
    weight: float = 1.0
    weighting: Weighting = "linear"
    start_from: Start = "noise"
    plan: TimePlan = field(default_factory=Grid)

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_nonnegative(self, "weight")
        check_weighting(self.weighting, "SDS")
        if self.start_from != "noise" and measurement is None:
            raise ValueError(f"SDS.start_from {self.start_from!r} needs a measurement.")

    def loss(self, problem: Problem, t: list[Tensor], i: int, mu: Tensor) -> Tensor:
        return sum(distillation(problem, one, mu, self.weight, self.weighting) for one in t) / len(t)
