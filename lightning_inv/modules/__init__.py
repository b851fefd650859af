"""LightningModules and what they are configured with."""

from lightning_inv.modules.learning_rate import WarmupCosine
from lightning_inv.modules.prior_training import PriorTraining
from lightning_inv.modules.restoration import Restoration, Restored, Solution

__all__ = ["PriorTraining", "Restoration", "Restored", "Solution", "WarmupCosine"]
