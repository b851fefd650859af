"""The class of an image, by a classifier."""

import torch
from torch import Tensor, nn

from lightning_inv.constraints.base import Constraint
from lightning_inv.frozen import device_of, frozen


class Classifier(Constraint):
    """An image is of one class: the energy is -log p(label | x).

    Graikos et al. descend 1 - p(label | x) instead, whose gradient vanishes where the classifier is sure of
    another class.

    Args:
        network: Gives log-probabilities of classes, shape ``(B, K)``, of images in [-1, 1], shape
            ``(B, C, H, W)``.
        label: The class asked for, in 0, ..., K - 1.
        weights: A safetensors file with the state of the network, or the name of one that ships with the
            package; None for a network that has its weights.

    Raises:
        ValueError: The label is negative, or the file does not hold weights of this network.
        FileNotFoundError: There is no such file.
    """

    def __init__(self, network: nn.Module, label: int, weights: str | None = None) -> None:
        super().__init__()
        if type(label) is not int or label < 0:
            raise ValueError(f"Classifier.label must be an integer of at least 0, got {label!r}.")
        self.network, self.label = frozen(network, weights), label

    def check(self, shape: tuple[int, int, int]) -> None:
        try:
            log_p = self.network(torch.zeros(1, *shape, device=device_of(self.network)))
        except RuntimeError as error:
            raise ValueError(f"the classifier does not take images of shape {shape}: {error}") from None
        if log_p.ndim != 2 or len(log_p) != 1 or self.label >= log_p.shape[1]:
            raise ValueError(
                f"a classifier must give log-probabilities of shape (B, K), with K above the label "
                f"{self.label}, got {tuple(log_p.shape)} for one image."
            )
        if not abs(float(log_p.exp().sum()) - 1) <= 1e-3:  # nan included
            raise ValueError(
                "a classifier must give log-probabilities, but their exponentials sum to "
                f"{float(log_p.exp().sum()):.3g}: let it end in log_softmax."
            )

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return -self.network(x)[:, self.label]

    def entries(self, x: Tensor, y: Tensor | None = None) -> int:
        return 1
