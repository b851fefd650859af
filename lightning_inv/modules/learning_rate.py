"""Learning-rate schedules."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class WarmupCosine(LambdaLR):
    """Grows linearly for ``warmup`` steps, then falls along a cosine to ``floor`` at ``steps``.

    Args:
        optimizer: The optimizer.
        steps: The steps of the whole training.
        warmup: The steps of growth.
        floor: The last learning rate, relative to the first.

    Raises:
        ValueError: ``warmup`` is not in [0, steps).
    """

    def __init__(self, optimizer: Optimizer, steps: int, warmup: int = 500, floor: float = 0.01) -> None:
        if not 0 <= warmup < steps:
            raise ValueError(
                f"model.lr_scheduler.warmup must be in [0, steps={steps}), the steps of the training, "
                f"got {warmup}."
            )

        self.steps, self.warmup, self.floor = steps, warmup, floor  # a checkpoint tells of them

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            u = min((step - warmup) / (steps - warmup), 1.0)
            return floor + (1 - floor) * (1 + math.cos(math.pi * u)) / 2

        super().__init__(optimizer, factor)
