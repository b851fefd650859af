"""Every operator, on small images; a new one joins by one line and all laws run on it."""

from typing import NamedTuple

import torch

from lightning_inv.noise import generator
from lightning_inv.operators import (
    JPEG,
    AntialiasedResize,
    BicubicDownsampling,
    BlockAverage,
    BoxMask,
    CartesianMask,
    CircularBlur,
    Clipping,
    Composition,
    DenseMatrix,
    FourierSubsampling,
    Gamma,
    GaussianKernel,
    GaussianSpread,
    Grayscale,
    HalfMask,
    HighDynamicRange,
    Identity,
    Images,
    Inpainting,
    InverseMask,
    LinearComposition,
    LinearStack,
    MotionSpread,
    NonlinearBlur,
    Operator,
    PhaseRetrieval,
    Quantization,
    Radon,
    RandomMask,
    ReflectBlur,
    SeparableBlur,
    Stack,
    StrokeMask,
    TextMask,
    UniformKernel,
    WalshHadamard,
)

B, SHAPE = 4, (3, 8, 8)
ROWS = torch.randn(20, 192, generator=generator("rows")).tolist()


class Case(NamedTuple):
    """An operator and the shape of images to try it on."""

    operator: Operator
    shape: tuple[int, int, int] = SHAPE

    def prepare(self, count: int = B, first: int = 0) -> Operator:
        return self.operator.prepare(self.images(count, first))

    def images(self, count: int = B, first: int = 0) -> Images:
        rng = Images.unnamed(self.shape, first + count).rng
        rng = type(rng)(rng.generators[first:], rng.device)
        return Images(self.shape, [f"image{i}" for i in range(first, first + count)], rng)


SPECTRAL = {
    "identity": Case(Identity()),
    "random inpainting": Case(Inpainting(RandomMask(0.4))),
    "box inpainting": Case(Inpainting(BoxMask(3, 5))),
    "random box inpainting": Case(Inpainting(BoxMask(3, 4, "random", margin=1))),
    "half inpainting": Case(Inpainting(HalfMask())),
    "outpainting": Case(Inpainting(InverseMask(BoxMask(4, 6)))),
    "text inpainting": Case(Inpainting(TextMask(size=8)), (1, 16, 24)),
    "stroke inpainting": Case(Inpainting(StrokeMask(0.2, 0.3))),
    "block average 2": Case(BlockAverage(2)),
    "block average 4": Case(BlockAverage(4)),
    "block average 8": Case(BlockAverage(8)),
    "bicubic 2": Case(BicubicDownsampling(2)),
    "bicubic 3": Case(BicubicDownsampling(3), (2, 9, 6)),
    "bicubic 4": Case(BicubicDownsampling(4)),
    "gaussian blur": Case(SeparableBlur(GaussianKernel(5, 0.8))),
    "uniform blur": Case(SeparableBlur(UniformKernel(3))),
    "anisotropic blur": Case(SeparableBlur(GaussianKernel(5, 0.6), GaussianKernel(3, 1.0))),
    "oblong blur": Case(SeparableBlur(GaussianKernel(5, 0.6)), (2, 6, 9)),
    "circular gaussian blur": Case(CircularBlur(GaussianSpread(5, 0.5))),
    "circular motion blur": Case(CircularBlur(MotionSpread(5)), (2, 7, 8)),
    "grayscale": Case(Grayscale()),
    "walsh-hadamard 2": Case(WalshHadamard(2)),
    "walsh-hadamard 4": Case(WalshHadamard(4), (2, 4, 8)),
    "fourier subsampling": Case(FourierSubsampling(CartesianMask(2.0, 0.25)), (2, 8, 8)),
    "fourier subsampling, odd": Case(FourierSubsampling(RandomMask(0.4)), (2, 7, 9)),
    "dense matrix": Case(DenseMatrix(ROWS)),
    "tall dense matrix": Case(DenseMatrix(torch.tensor(ROWS).T[:50].tolist()), (1, 4, 5)),
}
LINEAR = SPECTRAL | {
    "antialiased resize": Case(AntialiasedResize(2)),
    "reflected motion blur": Case(ReflectBlur(MotionSpread(3))),
    "reflected gaussian blur": Case(ReflectBlur(GaussianSpread(3, 0.5)), (2, 7, 9)),
    "radon": Case(Radon(2)),
    "radon, oblong": Case(Radon(2), (2, 6, 9)),
    "blurred and masked": Case(
        LinearComposition(Inpainting(RandomMask(0.5)), SeparableBlur(GaussianKernel(3, 0.6)))
    ),
    "stack": Case(LinearStack([BlockAverage(4), Inpainting(RandomMask(0.3)), WalshHadamard(4)])),
}
NONLINEAR = {
    "high dynamic range": Case(HighDynamicRange()),
    "phase retrieval": Case(PhaseRetrieval()),
    "jpeg": Case(JPEG(20), (3, 16, 32)),
    "grey jpeg of odd size": Case(JPEG(20), (1, 11, 13)),
    "quantization": Case(Quantization(3)),
    "gamma": Case(Gamma()),
    "clipping": Case(Clipping()),
    "nonlinear blur": Case(NonlinearBlur(MotionSpread(5))),
    "clipped blur": Case(Composition(HighDynamicRange(), SeparableBlur(GaussianKernel(3, 0.6)))),
    "nonlinear stack": Case(Stack([HighDynamicRange(), BlockAverage(2)])),
}
OPERATORS = LINEAR | NONLINEAR
