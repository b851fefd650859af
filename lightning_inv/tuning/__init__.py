"""Searches a solver's settings on validation images, and writes a preset with its evidence."""

from lightning_inv.tuning.run import tune
from lightning_inv.tuning.search import Search

__all__ = ["Search", "tune"]
