"""Which images a rank is given, and in which order."""

import itertools
from typing import Any

import pytest
import torch
from helpers import attached, names_of

from lightning_inv.data import Digits, SampleImages, StreamSampler
from lightning_inv.data.dataset import Drawn, First
from lightning_inv.data.sampler import Draw


@pytest.mark.parametrize("limit", [1, 5, 1000, None])
def test_the_limit_takes_the_first_images(limit: int | None) -> None:
    data = Digits(limit=limit)
    assert list(data.selected().names) == names_of(data, "test")[:limit]


def test_two_ranks_share_what_is_not_finished() -> None:
    data = Digits(batch_size=2, limit=9)
    data.finished = [frozenset({0, 4})]
    shares = []
    for rank in range(2):
        batches = list(attached(data, global_rank=rank, world_size=2).predict_dataloader())
        shares.append([i for batch in batches for i in batch["index"].tolist()])
    assert sorted(itertools.chain(*shares)) == [1, 2, 3, 5, 6, 7, 8]


def test_two_ranks_share_each_problem_and_begin_in_turns() -> None:
    data = Digits(batch_size=2, limit=3)
    data.finished = [frozenset(), frozenset({0}), frozenset({1, 2})]
    shares = []
    for rank in range(2):
        loaders = attached(data, global_rank=rank, world_size=2).predict_dataloader()
        shares.append([[i for batch in loader for i in batch["index"].tolist()] for loader in loaders])
    assert shares == [[[0, 2], [2], [0]], [[1], [1], []]]


def test_validation_meets_every_image_once_over_all_ranks() -> None:
    shares = [
        batch["index"].tolist()
        for rank in range(3)
        for batch in attached(Digits(), global_rank=rank, world_size=3).val_dataloader()
    ]
    assert sorted(itertools.chain(*shares)) == list(range(179))


def test_validation_leaves_out_no_rank() -> None:
    """Ranks wait for each other after it."""
    data = Digits()
    data.dataset = lambda split: First(Digits().dataset(split), 2)
    shares = [
        batch["index"].tolist()
        for rank in range(5)
        for batch in attached(data, global_rank=rank, world_size=5).val_dataloader()
    ]
    assert shares == [[0], [1], [0], [1], [0]]


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 44, 89, 90, 200])
def test_ranks_validate_in_as_many_batches(ranks: int, batch_size: int) -> None:
    """Those that share weights wait for one another in each of them."""
    loaders = [
        attached(Digits(batch_size=batch_size), global_rank=rank, world_size=ranks).val_dataloader()
        for rank in range(ranks)
    ]
    batches = [[batch["index"].tolist() for batch in loader] for loader in loaders]
    assert len({len(share) for share in batches}) == 1
    assert all(len(batch) <= batch_size for share in batches for batch in share)
    assert {i for share in batches for batch in share for i in batch} == set(range(179))


def flipped(seed: int = 0, flip: bool = True, **state: Any) -> dict[int, bool]:
    """Whether each image of a pass is mirrored, by its number in the stream."""
    data, found = attached(Digits(flip=flip, seed=seed, batch_size=64), **state), {}
    plain = data.dataset("train")
    for batch in data.train_dataloader():
        for number, index, x in zip(*(batch[key] for key in ("number", "index", "image")), strict=True):
            y = plain[int(index)]["image"]
            assert torch.equal(x, y) or torch.equal(x, y.flip(-1))
            found[int(number)] = not torch.equal(x, y)
    return found


def test_flips_follow_from_the_seed_and_the_place_in_the_stream() -> None:
    whole = flipped()
    assert whole == flipped(global_rank=0, world_size=2) | flipped(global_rank=1, world_size=2)
    assert flipped(global_step=20, accumulate_grad_batches=1).items() <= whole.items()
    assert whole != flipped(seed=1)


def test_about_half_of_the_images_are_flipped() -> None:
    share = sum((found := flipped()).values()) / len(found)
    assert 0.45 < share < 0.55


def test_images_are_not_flipped_unless_that_is_asked_for() -> None:
    assert not any(flipped(flip=False).values())


def test_an_image_is_mirrored_in_some_passes_alone() -> None:
    images = Digits().dataset("train")
    drawn, numbers = Drawn(images, 0, flip=True), range(3, 20 * len(images), len(images))
    seen = [drawn[Draw(number, 3)]["image"] for number in numbers]
    assert {torch.equal(x, images[3]["image"]) for x in seen} == {True, False}


def test_numbers_of_images_go_on_in_the_next_pass() -> None:
    """The noise of an image follows from its number, so that it is another in each pass."""
    data = attached(Digits(batch_size=64), global_step=1439 // 64)
    assert next(iter(data.train_dataloader()))["number"].tolist() == list(range(22 * 64, 23 * 64))


# Examples


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (4, [0, 44, 89, 134]), (1000, [*range(179)])])
def test_examples_are_spread_over_their_split(count: int, expected: list[int]) -> None:
    batches = Digits(batch_size=50).examples("val", count)
    assert [i for batch in batches for i in batch["index"].tolist()] == expected


def test_examples_of_a_split_that_is_not_there_are_none() -> None:
    assert list(SampleImages().examples("train", 5)) == []


def test_examples_take_no_random_number_of_the_process() -> None:
    before = torch.get_rng_state()
    list(Digits().examples("val", 5))
    assert torch.equal(torch.get_rng_state(), before)


# The order of training images

LENGTH, BATCH = 23, 3


def stream(taken: int, rank: int = 0, world_size: int = 1, seed: int = 0, passes: int = 3) -> list[list[int]]:
    """The batches from the one after ``taken`` to the end of the last pass, as a loader would form them."""
    done = taken
    sampler = StreamSampler(LENGTH, BATCH, rank, world_size, seed, lambda: done)
    batches = []
    while done < passes * sampler.batches:
        order = [draw.index for draw in sampler]
        batches += [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
        done = taken + len(batches)
    return batches


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_pass_shows_no_image_twice(world_size: int) -> None:
    ranks = [stream(0, rank, world_size, passes=1) for rank in range(world_size)]
    seen = list(itertools.chain(*itertools.chain(*ranks)))
    assert len(seen) == len(set(seen)) == LENGTH // (BATCH * world_size) * BATCH * world_size
    assert set(seen) <= set(range(LENGTH))


def test_passes_differ_in_order() -> None:
    batches, length = stream(0, passes=2), LENGTH // BATCH
    assert batches[:length] != batches[length:]


def test_seeds_differ_in_order() -> None:
    assert stream(0, seed=0) != stream(0, seed=1)


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("taken", range(1, 9))
def test_a_resumed_stream_goes_on_as_the_straight_one(taken: int, world_size: int) -> None:
    for rank in range(world_size):
        assert stream(taken, rank, world_size) == stream(0, rank, world_size)[taken:]


def draws(batch_size: int, ranks: int, accumulate: int, taken: int = 0) -> list[set[Draw]]:
    """What the steps of a pass see, all ranks and batches together."""
    batches = []
    for rank in range(ranks):
        order = list(StreamSampler(LENGTH, batch_size, rank, ranks, 0, lambda: taken, accumulate))
        own = batch_size * accumulate
        batches.append([order[i : i + own] for i in range(0, len(order), own)])
    return [set(itertools.chain(*step)) for step in zip(*batches, strict=True)]


@pytest.mark.parametrize("split", [(3, 2, 1), (3, 1, 2), (1, 2, 3), (2, 3, 1), (1, 6, 1)], ids=str)
def test_a_step_of_as_many_images_sees_the_same_however_it_is_split(split: tuple[int, int, int]) -> None:
    """The split is a batch size, a number of ranks and of batches accumulated."""
    whole = draws(6, 1, 1)
    assert [len(step) for step in whole] == [6, 6, 6]
    assert draws(*split) == whole
    assert draws(*split, taken=4 * split[2]) == draws(6, 1, 1, taken=4)
    assert not set.union(*whole) & set.union(*draws(6, 1, 1, taken=3))  # numbers go on in the next pass


@pytest.mark.parametrize(("accumulate", "batches"), [(1, 7), (2, 6), (3, 6), (5, 5)])
def test_a_pass_is_a_whole_number_of_steps(accumulate: int, batches: int) -> None:
    assert StreamSampler(LENGTH, BATCH, 0, 1, 0, lambda: 0, accumulate).batches == batches


def test_the_length_is_that_of_a_whole_pass() -> None:
    assert len(StreamSampler(LENGTH, BATCH, 0, 2, 0, lambda: 2)) == 9


def test_too_few_images_for_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs 1 x 12 images on each of 2 devices, got 23"):
        StreamSampler(LENGTH, 12, 0, 2, 0, lambda: 0)


def test_too_few_images_for_a_step_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs 4 x 3 images on each of 2 devices, got 23"):
        StreamSampler(LENGTH, BATCH, 0, 2, 0, lambda: 0, accumulate=4)
