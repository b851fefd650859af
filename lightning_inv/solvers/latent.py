"""Images as functions of something else."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_inv.frozen import device_of, frozen
from lightning_inv.noise import NoiseStream
from lightning_inv.recipes import Recorded


class Latent(Recorded, nn.Module):
    """An image x = f(z), so that a descent moves z instead of pixels.

    It begins at white noise. For another beginning override ``start``.

    Source: Graikos et al. (2022), the experiment on tours.

    Args:
        decoder: The function f, from ``(B, *shape)`` to images ``(B, C, H, W)`` in [-1, 1]; ``torch.nn.Tanh``
            keeps pixels in their range.
        shape: The shape of one z.
        weights: A safetensors file with the state of the decoder; None for one that has its weights.

    Raises:
        ValueError: The file does not hold weights of this decoder.
        FileNotFoundError: There is no such file.
    """

    def __init__(self, decoder: nn.Module, shape: Sequence[int], weights: str | None = None) -> None:
        super().__init__()
        self.decoder, self.shape = frozen(decoder, weights), tuple(shape)

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raises ValueError unless the decoder makes images of this shape (C, H, W)."""
        try:
            made = tuple(self(torch.zeros(1, *self.shape, device=device_of(self.decoder))).shape[1:])
        except RuntimeError as error:
            raise ValueError(f"the decoder does not take z of shape {self.shape}: {error}") from None
        if made != tuple(shape):
            raise ValueError(f"the decoder makes images of shape {made}, the prior has {tuple(shape)}.")

    def start(self, rng: NoiseStream) -> Tensor:
        """The first z of each image, shape ``(B, *shape)``."""
        return rng.normal(self.shape)

    def forward(self, z: Tensor) -> Tensor:
        """The images, shape ``(B, C, H, W)``."""
        return self.decoder(z)
