"""A network that predicts the image."""

import torch
from torch import Tensor

from lightning_inv.denoisers.base import Estimate
from lightning_inv.denoisers.network import NetworkDenoiser


class ImageDenoiser(NetworkDenoiser):
    """A network trained to predict x from x_t = alpha_t x + sigma_t eps.

    Its loss hardly sees small noise: train it with a weighting such as ``MinSNR``.

    Source: Salimans & Ho (2022), Progressive Distillation for Fast Sampling of Diffusion Models,
    https://arxiv.org/abs/2202.00512, section 4.
    """

    def estimate(self, output: Tensor, x_t: Tensor, t: Tensor) -> Estimate:
        return self.from_x(output, x_t, t)

    def target(self, x: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        return x

    def scale(self, t: Tensor) -> Tensor:
        return torch.ones_like(self.schedule(t)[0])
