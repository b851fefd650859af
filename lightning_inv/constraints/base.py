"""Constraints: how badly an image x agrees with what is known of it."""

import abc

from torch import Tensor, nn

from lightning_inv.recipes import Recorded


class Constraint(Recorded, nn.Module, abc.ABC):
    """An energy, small where x agrees with what is known."""

    @abc.abstractmethod
    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """The energy of each image, shape ``(B,)``, summed over all that it has entries for.

        Args:
            x: Images, shape ``(B, C, H, W)``.
            y: What was measured, shape ``(B, ...)``; None if nothing was, or nothing that matters here.
        """

    @abc.abstractmethod
    def entries(self, x: Tensor, y: Tensor | None) -> int:
        """The number of entries of one image that the energy is a sum over."""

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raises ValueError if the constraint does not fit images of this shape (C, H, W)."""

    def per_entry(self, x: Tensor, y: Tensor | None) -> Tensor:
        """The energy of each image, averaged over its entries, shape ``(B,)``.

        Raises:
            ValueError: The energy is not one number an image.
        """
        energy = self(x, y)
        if energy.shape != (len(x),):
            raise ValueError(
                f"{type(self).__name__} must give one energy an image, shape ({len(x)},), "
                f"got {tuple(energy.shape)}."
            )
        return energy / self.entries(x, y)
