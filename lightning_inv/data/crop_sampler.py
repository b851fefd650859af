"""Which crops make a training batch."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch.utils.data import Sampler

from lightning_inv.noise import generator


class Crop(NamedTuple):
    """Which crop of a stream: its number, and its side in pixels."""

    number: int
    side: int


class CropSampler(Sampler[list[Crop]]):
    """Batches of crops that go on exactly where an interrupted run stopped.

    Batch b of all ranks together is a function of the seed and b; all crops of a step have one side. So what
    a step sees is the same for any number of ranks and batches that make up as many crops.

    Args:
        sides: The sides of crops, each as likely as the others.
        batch_size: Crops in a batch of one rank.
        rank: This rank.
        world_size: The number of ranks.
        seed: Sides follow from it.
        batches_taken: Tells how many batches each rank has taken so far; asked when a pass begins.
        batches: The batches of one pass.
        accumulate: The batches of one step.
    """

    def __init__(
        self,
        sides: Sequence[int],
        batch_size: int,
        rank: int,
        world_size: int,
        seed: int,
        batches_taken: Callable[[], int],
        batches: int,
        accumulate: int = 1,
    ) -> None:
        self.sides, self.batch_size, self.rank, self.world_size = list(sides), batch_size, rank, world_size
        self.seed, self.batches_taken, self.batches = seed, batches_taken, batches
        self.accumulate = accumulate

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[Crop]]:
        taken = self.batches_taken()
        for batch in range(taken, taken - taken % self.batches + self.batches):
            rng = generator(self.seed, batch // self.accumulate, "side")
            side = self.sides[int(torch.randint(len(self.sides), (), generator=rng))]
            first = (batch * self.world_size + self.rank) * self.batch_size
            yield [Crop(number, side) for number in range(first, first + self.batch_size)]
