"""Weights of training losses, by time."""

from dataclasses import dataclass

from torch import Tensor

from lightning_inv.denoisers import NetworkDenoiser


@dataclass(frozen=True)
class MinSNR:
    """Weighs the squared error of x by min(SNR_t, gamma), SNR_t = (alpha_t / sigma_t)^2.

    The same for every parametrisation: what a network predicts is weighed so that the error of the x that
    follows from it counts so much.

    Source: Hang et al. (2023), Efficient Diffusion Training via Min-SNR Weighting Strategy,
    https://arxiv.org/abs/2303.09556, section 3.4.

    Args:
        gamma: Where the weight stops growing.

    Raises:
        ValueError: ``gamma`` is not positive.
    """

    gamma: float = 5.0

    def __post_init__(self) -> None:
        if not self.gamma > 0:
            raise ValueError(f"MinSNR.gamma must be positive, got {self.gamma}.")

    def __call__(self, denoiser: NetworkDenoiser, t: Tensor) -> Tensor:
        """Weights of the loss of the denoiser at times t, shape ``(B,)``."""
        alpha_t, sigma_t = denoiser.schedule(t)
        return ((alpha_t / sigma_t).square().clamp(max=self.gamma) / denoiser.scale(t)).flatten()
