"""Measurement operators."""

from lightning_inv.operators.base import Images, LinearOperator, Operator, SVDOperator
from lightning_inv.operators.blur import CircularBlur, ReflectBlur, SeparableBlur
from lightning_inv.operators.color import Grayscale
from lightning_inv.operators.composition import Composition, LinearComposition, LinearStack, Stack
from lightning_inv.operators.deepinv import DeepinvLinear, DeepinvPhysics
from lightning_inv.operators.differentiated import Differentiated
from lightning_inv.operators.drawn_masks import StrokeMask, TextMask
from lightning_inv.operators.fourier import FourierSubsampling
from lightning_inv.operators.hadamard import WalshHadamard
from lightning_inv.operators.identity import Identity
from lightning_inv.operators.inpainting import Inpainting
from lightning_inv.operators.jpeg import JPEG, Coding, Quantization
from lightning_inv.operators.kernels import (
    GaussianKernel,
    GaussianSpread,
    Kernel,
    MotionSpread,
    PointSpread,
    UniformKernel,
)
from lightning_inv.operators.laws import check_operator
from lightning_inv.operators.masks import (
    BoxMask,
    CartesianMask,
    HalfMask,
    InverseMask,
    Mask,
    MaskFile,
    MaskFolder,
    RandomMask,
)
from lightning_inv.operators.matrix import DenseMatrix
from lightning_inv.operators.nonlinear import Clipping, Gamma, HighDynamicRange, NonlinearBlur
from lightning_inv.operators.phase import PhaseRetrieval
from lightning_inv.operators.radon import Radon
from lightning_inv.operators.resolution import AntialiasedResize, BicubicDownsampling, BlockAverage
from lightning_inv.operators.separable import Separable

__all__ = [
    "JPEG",
    "AntialiasedResize",
    "BicubicDownsampling",
    "BlockAverage",
    "BoxMask",
    "CartesianMask",
    "CircularBlur",
    "Clipping",
    "Coding",
    "Composition",
    "DeepinvLinear",
    "DeepinvPhysics",
    "DenseMatrix",
    "Differentiated",
    "FourierSubsampling",
    "Gamma",
    "GaussianKernel",
    "GaussianSpread",
    "Grayscale",
    "HalfMask",
    "HighDynamicRange",
    "Identity",
    "Images",
    "Inpainting",
    "InverseMask",
    "Kernel",
    "LinearComposition",
    "LinearOperator",
    "LinearStack",
    "Mask",
    "MaskFile",
    "MaskFolder",
    "MotionSpread",
    "NonlinearBlur",
    "Operator",
    "PhaseRetrieval",
    "PointSpread",
    "Quantization",
    "Radon",
    "RandomMask",
    "ReflectBlur",
    "SVDOperator",
    "Separable",
    "SeparableBlur",
    "Stack",
    "StrokeMask",
    "TextMask",
    "UniformKernel",
    "WalshHadamard",
    "check_operator",
]
