"""A prior of images of any size, told the size."""

from collections.abc import Sequence

from torch import Tensor

from lightning_inv.denoisers.base import Denoiser, Estimate


class SizedDenoiser(Denoiser):
    """A denoiser whose images have one shape.

    Args:
        denoiser: The denoiser.
        shape: The shape ``(C, H, W)`` of an image.

    Raises:
        ValueError: The denoiser is not one of such images.
    """

    def __init__(self, denoiser: Denoiser, shape: Sequence[int]) -> None:
        super().__init__()
        if not denoiser.fits(shape):
            raise ValueError(f"the prior is one of images of {told(denoiser.shape)}, got {told(shape)}.")
        self.denoiser, self.schedule, self.shape = denoiser, denoiser.schedule, tuple(shape)
        self.num_classes = denoiser.num_classes

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        return self.denoiser(x_t, t, label)


def told(shape: Sequence[int | None]) -> str:
    """A shape in words."""
    channels = f"{shape[0]} channel{'s' if shape[0] != 1 else ''}"
    return f"{channels} and any size" if None in shape else f"shape {tuple(shape)} (C, H, W)"
