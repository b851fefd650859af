"""The best linear denoiser of images that look alike everywhere."""

from collections.abc import Iterable

import torch
from torch import Tensor

from lightning_inv.denoisers.base import Denoiser, Estimate
from lightning_inv.schedules import LinearSchedule, Schedule


class StationaryDenoiser(Denoiser):
    """The Wiener filter, computed in the Fourier domain, frequency by frequency.

    With S the covariance of the channels at a frequency,
    E[eps | x_t] = sigma_t (alpha_t^2 S + sigma_t^2 I)^-1 (x_t - alpha_t mean).

    It is exact for Gaussian images whose statistics are alike at all pixels, the image being continued
    periodically. For any other images it has the least squared error of all linear denoisers that treat all
    pixels alike in that sense.

    Source: Wiener (1949), Extrapolation, Interpolation, and Smoothing of Stationary Time Series.

    Args:
        mean: The mean of each channel, shape ``(C,)``.
        spectrum: The covariance of the channels at each frequency of the orthonormal Fourier transform, shape
            ``(H, W, C, C)``, Hermitian and positive semi-definite.
        schedule: The noise schedule; the linear one if None.
    """

    def __init__(self, mean: Tensor, spectrum: Tensor, schedule: Schedule | None = None) -> None:
        super().__init__()
        self.schedule, self.shape = schedule or LinearSchedule(), (len(mean), *spectrum.shape[:2])
        variances, basis = torch.linalg.eigh(spectrum.to(torch.complex128))
        self.register_buffer("mean", mean.float()[:, None, None])
        self.register_buffer("variances", variances.clamp(min=0).float())
        self.register_buffer("basis", basis.to(torch.complex64))

    @classmethod
    def estimated(cls, images: Iterable[Tensor], schedule: Schedule | None = None) -> "StationaryDenoiser":
        """The denoiser of these images.

        Args:
            images: Batches of images, shape ``(B, C, H, W)``.
            schedule: The noise schedule; the linear one if None.
        """
        count, total, products = 0, 0, 0
        for x in images:
            spectra = torch.fft.fft2(x.double(), norm="ortho").permute(2, 3, 1, 0)
            count, total = count + len(x), total + x.double().mean((2, 3)).sum(0)
            products = products + spectra @ spectra.mH
        mean, spectrum = total / count, products / count
        H, W = spectrum.shape[:2]
        spectrum[0, 0] -= H * W * torch.outer(mean, mean)
        return cls(mean, spectrum, schedule)

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        alpha_t, sigma_t = self.schedule(t)
        spectra = torch.fft.fft2(x_t - alpha_t * self.mean, norm="ortho").movedim(1, -1)
        gain = sigma_t / (alpha_t**2 * self.variances + sigma_t**2)
        turned = gain * torch.einsum("hwij,bhwi->bhwj", self.basis.conj(), spectra)
        found = torch.einsum("hwij,bhwj->bhwi", self.basis, turned).movedim(-1, 1)
        return self.from_eps(torch.fft.ifft2(found, norm="ortho").real, x_t, t)
