"""Lossy coding: JPEG and quantisation, with a straight-through gradient."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_inv.operators.base import Operator

LUMINANCE = """
16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99
"""
CHROMINANCE = """
17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99
"""
TO_YCBCR = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


class Coding(Operator):
    """An operator that rounds: y is the decoded image, and A(A(x)) = A(x) up to rounding.

    Rounding has the gradient 0; here it counts as 1 (straight through), or descents would not feel y at all.
    """

    def pinv(self, y: Tensor) -> Tensor:
        """Y itself, which is an image."""
        return y


class Quantization(Coding):
    """A(x) is x rounded to 2^bits levels, of which -1 and 1 are the outermost.

    Args:
        bits: The number of bits.
    """

    def __init__(self, bits: int = 3) -> None:
        super().__init__()
        if not 1 <= bits <= 16:
            raise ValueError(f"Quantization.bits must be in [1, 16], got {bits}.")
        self.levels = 2**bits - 1

    def forward(self, x: Tensor) -> Tensor:
        return rounded((x.clamp(-1, 1) + 1) / 2 * self.levels) / self.levels * 2 - 1


class JPEG(Coding):
    """A(x) is x written as JPEG and read again: 8 x 8 cosine transform, colour at half resolution (4:2:0).

    Tables are those of annex K of the standard, scaled by the quality as libjpeg does. Colour is averaged
    over 2 x 2 pixels, as libjpeg does, where the code of DDRM-JPEG takes every other pixel. Sides that are
    no multiple of a block are continued by their last pixel. Values are not clipped.

    Source: ITU-T T.81 (1992); Kawar et al. (2022), JPEG artifact correction using denoising diffusion
    restoration models, https://arxiv.org/abs/2209.11888.

    Args:
        quality: The quality, from 1 to 100.
    """

    def __init__(self, quality: int = 10) -> None:
        super().__init__()
        if not 1 <= quality <= 100:
            raise ValueError(f"JPEG.quality must be in [1, 100], got {quality}.")
        for name, table in (("luminance", LUMINANCE), ("chrominance", CHROMINANCE)):
            self.register_buffer(name, quantization_table(table, quality), persistent=False)
        self.register_buffer("dct", cosine_transform(8), persistent=False)
        self.register_buffer("to_ycbcr", TO_YCBCR, persistent=False)
        self.register_buffer("from_ycbcr", TO_YCBCR.double().inverse().float(), persistent=False)

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        if shape[0] not in (1, 3):
            raise ValueError(f"JPEG needs images of 1 or 3 channels, got shape {tuple(shape)}.")

    def forward(self, x: Tensor) -> Tensor:
        H, W = x.shape[-2:]
        block = 8 if x.shape[1] == 1 else 16
        full = F.pad(x * 127.5, (0, -W % block, 0, -H % block), mode="replicate")
        return self._code(full)[..., :H, :W] / 127.5

    def _code(self, x: Tensor) -> Tensor:
        """Codes images of [-127.5, 127.5] whose sides are multiples of the block."""
        if x.shape[1] == 1:
            return self._blocks(x - 0.5, self.luminance) + 0.5
        ycbcr = torch.einsum("ij,bjhw->bihw", self.to_ycbcr, x - 0.5)
        light = self._blocks(ycbcr[:, :1], self.luminance)
        colour = self._blocks(F.avg_pool2d(ycbcr[:, 1:], 2), self.chrominance)
        coded = torch.cat([light, F.interpolate(colour, scale_factor=2, mode="nearest")], 1)
        return torch.einsum("ij,bjhw->bihw", self.from_ycbcr, coded) + 0.5

    def _blocks(self, x: Tensor, table: Tensor) -> Tensor:
        """Rounds the cosine transform of each block to multiples of the table."""
        blocks = x.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)
        coefficients = rounded(self.dct @ blocks @ self.dct.mT / table) * table
        return (self.dct.mT @ coefficients @ self.dct).transpose(3, 4).flatten(4, 5).flatten(2, 3)


def rounded(x: Tensor) -> Tensor:
    """X rounded to whole numbers, with the gradient of x."""
    return x + (x.round() - x).detach()


def quantization_table(text: str, quality: int) -> Tensor:
    """The table of annex K scaled by the quality, shape ``(8, 8)``."""
    table = torch.tensor([int(word) for word in text.split()]).view(8, 8)
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((scale * table + 50) // 100).clamp(1, 255).float()


def cosine_transform(n: int) -> Tensor:
    """The matrix of the orthonormal cosine transform DCT-II, shape ``(n, n)``."""
    k, i = torch.arange(n, dtype=torch.double)[:, None], torch.arange(n, dtype=torch.double)
    C = torch.cos(torch.pi * k * (2 * i + 1) / (2 * n)) * (2 / n) ** 0.5
    C[0] /= 2**0.5
    return C.float()
