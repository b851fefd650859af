"""Measurement operators."""

from lightning_inv.operators.base import Images, LinearOperator, Operator, SVDOperator
from lightning_inv.operators.blur import GaussianKernel, Kernel, SeparableBlur, UniformKernel
from lightning_inv.operators.color import Grayscale
from lightning_inv.operators.identity import Identity
from lightning_inv.operators.inpainting import Inpainting
from lightning_inv.operators.masks import BoxMask, Mask, MaskFile, MaskFolder, RandomMask
from lightning_inv.operators.nonlinear import HighDynamicRange
from lightning_inv.operators.resolution import BlockAverage

__all__ = [
    "BlockAverage",
    "BoxMask",
    "GaussianKernel",
    "Grayscale",
    "HighDynamicRange",
    "Identity",
    "Images",
    "Inpainting",
    "Kernel",
    "LinearOperator",
    "Mask",
    "MaskFile",
    "MaskFolder",
    "Operator",
    "RandomMask",
    "SVDOperator",
    "SeparableBlur",
    "UniformKernel",
]
