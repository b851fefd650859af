"""What a network is to the rest of the package."""

import abc

from torch import Tensor, nn

from lightning_inv.recipes import Recorded


class Network(Recorded, nn.Module, abc.ABC):
    """Maps images and times to images. It knows nothing of diffusion.

    Attributes:
        num_classes: The number of classes it is told of, or None.
    """

    num_classes: int | None = None

    @abc.abstractmethod
    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Runs the network.

        Args:
            x: Images, shape ``(B, C, H, W)``.
            t: Times in the network's own unit, shape ``(B,)``.
            label: Classes, shape ``(B,)``, for networks that know classes.

        Returns:
            Shape ``(B, C', H, W)``.
        """
