"""Phase retrieval."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_inv.operators.base import Operator
from lightning_inv.operators.fourier import centred_fft, centred_ifft
from lightning_inv.settings import need_nonnegative


class PhaseRetrieval(Operator):
    """A(x) = |F(x padded with zeros)|, the magnitudes of an oversampled Fourier transform, orthonormal.

    For images in [-1, 1] neither the sign of x nor a rotation by half a turn can be told from y: score the
    best of the four.

    Args:
        oversampling: How much is added to each side, in quarters of the side: 2 makes a side 1.5 times as
            long, as in the codes of DPS and RED-diff.
    """

    def __init__(self, oversampling: float = 2.0) -> None:
        super().__init__()
        self.oversampling = oversampling
        need_nonnegative(self, "oversampling")

    def _margins(self, H: int, W: int) -> tuple[int, int]:
        return int(self.oversampling / 8 * H), int(self.oversampling / 8 * W)

    def image_size(self, measured: Sequence[int]) -> tuple[int, int] | None:
        H, W = (self._side(length) for length in measured[1:])
        return (H, W) if H and W else None

    def forward(self, x: Tensor) -> Tensor:
        top, left = self._margins(*x.shape[-2:])
        return centred_fft(F.pad(x, (left, left, top, top))).abs()

    def pinv(self, y: Tensor) -> Tensor:
        """The image of these magnitudes with all phases 0, which the codes start from."""
        padded = centred_ifft(y.to(torch.complex64)).real
        H, W = self.image_size(y.shape[1:])
        top, left = self._margins(H, W)
        return padded[..., top : top + H, left : left + W].abs()

    def _side(self, padded: int) -> int | None:
        """The side of an image whose padded side this is; None if there is no such image."""
        sides = range(1, padded + 1)
        return next((n for n in sides if n + 2 * int(self.oversampling / 8 * n) == padded), None)
