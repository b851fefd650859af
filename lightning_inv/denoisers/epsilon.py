"""The denoiser of DDPM: a network that predicts the noise."""

from torch import Tensor

from lightning_inv.denoisers.base import Estimate
from lightning_inv.denoisers.network import NetworkDenoiser


class EpsilonDenoiser(NetworkDenoiser):
    """A network trained to predict eps from x_t = alpha_t x + sigma_t eps.

    Its loss is L_simple, equation 14 of the source. The public weights of DDPM and ADM are of this kind.

    Source: Ho et al. (2020), Denoising Diffusion Probabilistic Models, https://arxiv.org/abs/2006.11239.
    """

    def estimate(self, output: Tensor, x_t: Tensor, t: Tensor) -> Estimate:
        return self.from_eps(output, x_t, t)

    def target(self, x: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        return eps

    def scale(self, t: Tensor) -> Tensor:
        alpha_t, sigma_t = self.schedule(t)
        return (alpha_t / sigma_t) ** 2
