"""Constraints: what is known of an image besides its prior."""

from lightning_inv.constraints.base import Constraint
from lightning_inv.constraints.classifier import Classifier
from lightning_inv.constraints.measurement import Measurement
from lightning_inv.constraints.symmetry import Symmetry
from lightning_inv.constraints.views import Augmented, Clipped, Plain, View

__all__ = ["Augmented", "Classifier", "Clipped", "Constraint", "Measurement", "Plain", "Symmetry", "View"]
