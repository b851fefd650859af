"""Fourier transforms that are real and orthogonal, and measurements in the Fourier domain."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_inv.operators.base import need_channels
from lightning_inv.operators.inpainting import Masked
from lightning_inv.operators.masks import CartesianMask, Mask


def hartley(x: Tensor) -> Tensor:
    """The Hartley transform Re F(x) - Im F(x) of the last two dimensions: orthogonal, its own inverse.

    F(-k) is the conjugate of F(k), so half of the frequencies tell the others.
    """
    f, W = torch.fft.rfft2(x, norm="ortho"), x.shape[-1]
    others = (f.real + f.imag)[..., 1 : (W + 1) // 2].flip((-2, -1)).roll(1, -2)
    return torch.cat([f.real - f.imag, others], -1)


class _Filtered(torch.autograd.Function):
    """What ``filtered`` does; its adjoint, half the work of what PyTorch finds, is of the same kind."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, response: Tensor) -> Tensor:
        ctx.save_for_backward(response)
        f = torch.fft.rfft2(x)
        return torch.fft.irfft2(response[..., : f.shape[-1]] * f, s=x.shape[-2:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return filtered(gradient, ctx.saved_tensors[0].conj()), None


def filtered(x: Tensor, response: Tensor) -> Tensor:
    """Multiplies Fourier coefficients of real images with those of a real kernel, ``(B or 1, 1, H, W)``."""
    return _Filtered.apply(x, response)


def centred_fft(x: Tensor) -> Tensor:
    """The orthonormal Fourier transform of the last two dimensions with the frequency 0 in the middle."""
    return torch.fft.fftshift(
        torch.fft.fft2(torch.fft.ifftshift(x, dim=(-2, -1)), norm="ortho"), dim=(-2, -1)
    )


def centred_ifft(f: Tensor) -> Tensor:
    """The inverse of ``centred_fft``."""
    return torch.fft.fftshift(
        torch.fft.ifft2(torch.fft.ifftshift(f, dim=(-2, -1)), norm="ortho"), dim=(-2, -1)
    )


def as_complex(x: Tensor) -> Tensor:
    """Two channels, ``(B, 2, H, W)``, as the real and imaginary part of ``(B, H, W)``."""
    return torch.complex(x[:, 0], x[:, 1])


def as_channels(z: Tensor) -> Tensor:
    """The inverse of ``as_complex``."""
    return torch.stack([z.real, z.imag], 1)


class FourierSubsampling(Masked):
    """Part of the Fourier coefficients of a complex image, as a single coil of an MRI scanner sees it.

    x and y have two channels, the real and the imaginary part. The frequency 0 is in the middle of y, and
    what was not sampled is 0; all singular values are 0 or 1.

    Args:
        mask: The frequencies sampled; Cartesian lines, four times fewer than all, if None.
    """

    def __init__(self, mask: Mask | None = None) -> None:
        super().__init__(mask or CartesianMask())

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        need_channels(self, shape, 2)
        super().check(shape, names)

    def V(self, z: Tensor) -> Tensor:
        return as_channels(centred_ifft(as_complex(z)))

    def Vt(self, x: Tensor) -> Tensor:
        return as_channels(centred_fft(as_complex(x)))
