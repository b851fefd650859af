"""LightningModules and what they are configured with."""

from lightning_inv.modules.learning_rate import WarmupCosine
from lightning_inv.modules.prior_training import PriorTraining
from lightning_inv.modules.restoration import Restoration
from lightning_inv.modules.solutions import Restored, Solution
from lightning_inv.modules.tasks import Task, Work
from lightning_inv.modules.weightings import MinSNR

__all__ = ["MinSNR", "PriorTraining", "Restoration", "Restored", "Solution", "Task", "WarmupCosine", "Work"]
