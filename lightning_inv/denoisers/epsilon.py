"""The denoiser of DDPM: a network that predicts the noise."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from lightning_inv.denoisers.base import Denoiser, Estimate
from lightning_inv.networks import Network
from lightning_inv.schedules import LinearSchedule, Schedule


class EpsilonDenoiser(Denoiser):
    """A network trained to predict eps from x_t = alpha_t x + sigma_t eps.

    The network is given the time t - 1 in 0, ..., T - 1, as the public weights expect. If it returns more
    channels than an image has, the first are eps and the rest, a learned variance, is left aside.

    Source: Ho et al. (2020), Denoising Diffusion Probabilistic Models, https://arxiv.org/abs/2006.11239.

    Args:
        network: Maps ``(B, C, H, W)`` images and ``(B,)`` times to ``(B, >=C, H, W)``.
        shape: The shape ``(C, H, W)`` of an image.
        schedule: The noise schedule; the linear one if None.

    Raises:
        ValueError: ``shape`` is not three positive numbers; when called, the network returns fewer channels
            than an image has.
    """

    def __init__(self, network: Network, shape: Sequence[int], schedule: Schedule | None = None) -> None:
        super().__init__()
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"shape must be three positive numbers (C, H, W), got {list(shape)}.")
        self.network, self.schedule = network, schedule or LinearSchedule()
        self.num_classes = network.num_classes
        self.shape = (int(shape[0]), int(shape[1]), int(shape[2]))

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        times = (t.to(x_t.device) - 1).expand(len(x_t))
        output = self.network(x_t, times, label)
        if output.shape[1] < self.shape[0]:
            raise ValueError(
                f"the network must return at least {self.shape[0]} channels, those of an image, "
                f"got {output.shape[1]}."
            )
        return self.from_eps(output[:, : self.shape[0]].to(x_t.dtype), x_t, t)

    def loss(self, x: Tensor, t: Tensor, eps: Tensor, label: Tensor | None = None) -> Tensor:
        """L_simple of each image (equation 14): the squared error of eps, averaged over pixels.

        Args:
            x: Clean images, shape ``(B, C, H, W)``.
            t: Times in 1, ..., T, shape ``(B,)``.
            eps: The noise added, shape ``(B, C, H, W)``.
            label: Classes, shape ``(B,)``, for priors that know classes.

        Returns:
            Shape ``(B,)``.
        """
        alpha_t, sigma_t = self.schedule(t)
        estimate = self(alpha_t * x + sigma_t * eps, t, label)
        return F.mse_loss(estimate.eps, eps, reduction="none").flatten(1).mean(1)
