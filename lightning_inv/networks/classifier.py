"""A small classifier of images, to guide with."""

import torch.nn.functional as F
from torch import Tensor, nn


class ConvClassifier(nn.Sequential):
    """Gives log-probabilities of classes, shape ``(B, classes)``, of images ``(B, C, H, W)`` of any size.

    Each level is a convolution at full size and one that halves it; the last is averaged over its pixels.

    Args:
        classes: The number of classes.
        channels: The channels of an image.
        widths: The channels of each level, divisible by 8.
        dropout: The share of averaged features that training drops.
    """

    def __init__(
        self,
        classes: int = 10,
        channels: int = 1,
        widths: tuple[int, ...] = (32, 64, 128),
        dropout: float = 0.2,
    ) -> None:
        levels = [
            self._level(before, after) for before, after in zip((channels, *widths), widths, strict=False)
        ]
        super().__init__(*levels, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout))
        self.append(nn.Linear(widths[-1], classes))

    @staticmethod
    def _level(before: int, after: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1),
            nn.GroupNorm(8, after),
            nn.SiLU(),
            nn.Conv2d(after, after, 3, stride=2, padding=1),
            nn.GroupNorm(8, after),
            nn.SiLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(super().forward(x), dim=1)
