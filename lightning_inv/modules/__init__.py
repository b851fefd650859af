"""LightningModules and what they are configured with."""

from lightning_inv.modules.learning_rate import WarmupCosine
from lightning_inv.modules.prior_training import PriorTraining

__all__ = ["PriorTraining", "WarmupCosine"]
