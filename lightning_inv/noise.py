"""Random numbers that belong to an image, not to a batch.

Each image draws from a generator of its own, keyed by (seed, image index, sample index, purpose). So an
image gets the same noise for any batch size, order, number of devices, and after a resume; and adding a
solver does not change the noise of the others. Draws are made on the CPU, hence the same for every
accelerator.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def generator(*key: int | str) -> torch.Generator:
    """A CPU generator whose seed is a hash of the key."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


@dataclass(frozen=True)
class NoiseStream:
    """One generator an image; each call draws the next numbers of every image.

    Args:
        generators: The generators, one an image.
        device: Where draws are put.
    """

    generators: tuple[torch.Generator, ...]
    device: torch.device

    @classmethod
    def of(
        cls,
        seed: int,
        indices: Sequence[int],
        purpose: str,
        sample: int | Sequence[int] = 0,
        device: torch.device | str = "cpu",
    ) -> "NoiseStream":
        """The stream of the images with these indices.

        Args:
            seed: The seed of the run.
            indices: The index of each image in its data set.
            purpose: What the numbers are for.
            sample: Which of several samples of the same image; one number for all images, or one for each.
            device: Where draws are put.
        """
        samples = [sample] * len(indices) if isinstance(sample, int) else sample
        pairs = zip(indices, samples, strict=True)
        return cls(tuple(generator(seed, int(i), int(k), purpose) for i, k in pairs), torch.device(device))

    def __len__(self) -> int:
        return len(self.generators)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers, ``shape`` for each image, shape ``(B, *shape)``."""
        return self._filled(shape, Tensor.normal_)

    def uniform(self, shape: Sequence[int] = ()) -> Tensor:
        """Uniform numbers in [0, 1), ``shape`` for each image, shape ``(B, *shape)``."""
        return self._filled(shape, Tensor.uniform_)

    def poisson(self, rate: Tensor) -> Tensor:
        """Poisson counts of these rates, shape ``(B, ...)``."""
        pairs = zip(rate.cpu(), self.generators, strict=True)
        return torch.stack([torch.poisson(one, generator=g) for one, g in pairs]).to(self.device)

    def _filled(self, shape: Sequence[int], fill: Callable[..., Tensor]) -> Tensor:
        """A batch whose images each generator fills in its turn, shape ``(B, *shape)``."""
        drawn = torch.empty(len(self), *shape)
        for row, g in zip(drawn, self.generators, strict=True):
            fill(row, generator=g)
        return drawn.to(self.device)
