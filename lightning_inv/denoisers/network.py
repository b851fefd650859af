"""Denoisers whose estimate comes from a trained network."""

import abc
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from lightning_inv.denoisers.base import Denoiser, Estimate
from lightning_inv.networks import Network
from lightning_inv.schedules import LinearSchedule, Schedule


class NetworkDenoiser(Denoiser):
    """A network that is trained to predict one thing, from which the estimates of x and eps follow.

    The network is given the time t - 1 in 0, ..., T - 1, as the public weights expect. If it returns more
    channels than an image has, the first are the prediction and the rest, a learned variance, is left aside.

    Args:
        network: Maps ``(B, C, H, W)`` images and ``(B,)`` times to ``(B, >=C, H, W)``.
        shape: The shape ``(C, H, W)`` of an image; height and width are None where it may have any size.
        schedule: The noise schedule; the linear one if None.

    Raises:
        ValueError: ``shape`` is none of these; when called, the network returns fewer channels
            than an image has.
    """

    def __init__(
        self, network: Network, shape: Sequence[int | None], schedule: Schedule | None = None
    ) -> None:
        super().__init__()
        known = shape[:1] if list(shape[1:]) == [None, None] else shape
        if len(shape) != 3 or None in known or min(known) < 1:
            raise ValueError(
                "shape must be three positive numbers (C, H, W), or (C, null, null) for any size, "
                f"got {list(shape)}."
            )
        self.network, self.schedule = network, schedule or LinearSchedule()
        self.num_classes = network.num_classes
        self.shape = tuple(shape)

    @abc.abstractmethod
    def estimate(self, output: Tensor, x_t: Tensor, t: Tensor) -> Estimate:
        """What follows from the network's prediction, shape ``(B, C, H, W)``."""

    @abc.abstractmethod
    def target(self, x: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """What the network should predict."""

    @abc.abstractmethod
    def scale(self, t: Tensor) -> Tensor:
        """The squared error of the prediction, relative to that of x which follows from it."""

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        return self.estimate(self.predict(x_t, t, label), x_t, t)

    def predict(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """The network's prediction, shape ``(B, C, H, W)``, in the precision of x_t."""
        times = (t.to(x_t.device) - 1).expand(len(x_t))
        output, channels = self.network(x_t, times, label), self.shape[0]
        if output.shape[1] < channels:
            raise ValueError(
                f"the network must return at least {channels} channels, those of an image, "
                f"got {output.shape[1]}."
            )
        return output[:, :channels].to(x_t.dtype)

    def loss(self, x: Tensor, t: Tensor, eps: Tensor, label: Tensor | None = None) -> Tensor:
        """The squared error of the prediction, averaged over the pixels of each image.

        Args:
            x: Clean images, shape ``(B, C, H, W)``.
            t: Times in 1, ..., T, shape ``(B,)``.
            eps: The noise added, shape ``(B, C, H, W)``.
            label: Classes, shape ``(B,)``, for priors that know classes.

        Returns:
            Shape ``(B,)``.
        """
        alpha_t, sigma_t = self.schedule(t)
        predicted = self.predict(alpha_t * x + sigma_t * eps, t, label)
        return F.mse_loss(predicted, self.target(x, eps, t), reduction="none").flatten(1).mean(1)
