"""A network that predicts the velocity."""

from torch import Tensor

from lightning_inv.denoisers.base import Estimate
from lightning_inv.denoisers.network import NetworkDenoiser


class VelocityDenoiser(NetworkDenoiser):
    """A network trained to predict v = alpha_t eps - sigma_t x from x_t = alpha_t x + sigma_t eps.

    x = alpha_t x_t - sigma_t v and eps = sigma_t x_t + alpha_t v, so that neither is a small difference
    divided by a small number: not where there is little noise, nor where there is little else.

    Source: Salimans & Ho (2022), Progressive Distillation for Fast Sampling of Diffusion Models,
    https://arxiv.org/abs/2202.00512, section 4 and appendix D.
    """

    def estimate(self, output: Tensor, x_t: Tensor, t: Tensor) -> Estimate:
        alpha_t, sigma_t = self.schedule(t)
        return Estimate(alpha_t * x_t - sigma_t * output, sigma_t * x_t + alpha_t * output)

    def target(self, x: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        alpha_t, sigma_t = self.schedule(t)
        return alpha_t * eps - sigma_t * x

    def scale(self, t: Tensor) -> Tensor:
        return self.schedule(t)[1] ** -2
