"""Measurement operators."""

from lightning_inv.operators.base import Images, LinearOperator, Operator, SVDOperator

__all__ = ["Images", "LinearOperator", "Operator", "SVDOperator"]
