"""The order of images: in training a function of the seed and the number of batches taken, nothing else."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch.utils.data import BatchSampler, Sampler

from lightning_inv.noise import generator


class Draw(NamedTuple):
    """An image of the stream that training looks at: its number in the stream, and its index in the data."""

    number: int
    index: int


class StreamSampler(Sampler[Draw]):
    """Shuffled passes over the data that go on exactly where an interrupted run stopped.

    Pass e is a permutation seeded by (seed, e); each rank takes its share of every global batch. Images that
    do not fill the global batches of a last step wait for another pass. What is drawn with a number is the
    same for any number of ranks and batches that make up a step of as many images.

    Args:
        length: The number of images.
        batch_size: Images in a batch of one rank.
        rank: This rank.
        world_size: The number of ranks.
        seed: The order follows from it.
        batches_taken: Tells how many batches each rank has taken so far; asked when a pass begins.
        accumulate: The batches of one step. Lightning makes no step of fewer at the end of a pass that was
            resumed, so a pass is a whole number of steps.

    Raises:
        ValueError: There are fewer images than one step needs.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        rank: int,
        world_size: int,
        seed: int,
        batches_taken: Callable[[], int],
        accumulate: int = 1,
    ) -> None:
        self.batches = length // (batch_size * world_size * accumulate) * accumulate
        if not self.batches:
            raise ValueError(
                f"a training step needs {accumulate} x {batch_size} images on each of {world_size} devices, "
                f"got {length}; make data.batch_size smaller."
            )
        self.length, self.batch_size, self.rank, self.world_size = length, batch_size, rank, world_size
        self.seed, self.batches_taken = seed, batches_taken

    def __len__(self) -> int:
        return self.batches * self.batch_size

    def __iter__(self) -> Iterator[Draw]:
        epoch, first = divmod(self.batches_taken(), self.batches)
        order = torch.randperm(self.length, generator=generator(self.seed, epoch, "order"))
        places = torch.arange(self.batches * self.world_size * self.batch_size)
        own = places.view(self.batches, self.world_size, self.batch_size)[first:, self.rank].flatten()
        pairs = zip((epoch * len(places) + own).tolist(), order[own].tolist(), strict=True)
        return (Draw(number, index) for number, index in pairs)


class SameShape(BatchSampler):
    """Batches of images of one shape: in order, but for images of another shape in between.

    Args:
        sampler: The indices.
        batch_size: Images in a batch, at most.
        drop_last: Lightning asks for it; no image is left out.
        shape: The shapes of what is at an index.
    """

    def __init__(
        self,
        sampler: Iterable[int],
        batch_size: int,
        drop_last: bool = False,
        shape: Callable[[int], Mapping[str, Any]] = lambda _: {},
    ) -> None:
        super().__init__(sampler, batch_size, drop_last)
        groups = grouped(sampler, shape)
        self.batches = [part[i : i + batch_size] for part in groups for i in range(0, len(part), batch_size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def grouped(indices: Iterable[int], shape: Callable[[int], Mapping[str, Any]]) -> list[list[int]]:
    """Indices in groups of one shape, each in order."""
    groups: dict[Any, list[int]] = {}
    for i in indices:
        groups.setdefault(tuple(shape(i).items()), []).append(i)
    return list(groups.values())
