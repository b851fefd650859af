"""Random crops: which, from where, and how they go on."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import write_pictures
from helpers import attached
from torch import Tensor

from lightning_inv.data import ImageCrops
from lightning_inv.data.crops import Crop, CropDataset, CropSampler, Pictures, crop_box
from lightning_inv.data.image_files import read_image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of 40 x 30 pixels."""
    root = tmp_path_factory.mktemp("pictures")
    write_pictures(root, 12, (40, 30))
    return root


def crops(folder: Path, **settings: Any) -> ImageCrops:
    """Crops of 8 x 8 pixels."""
    settings = {
        "size": 8,
        "shorter": (16, 32),
        "val_fraction": 0.3,
        "val_crops": 5,
        "batch_size": 2,
        **settings,
    }
    return ImageCrops(str(folder), **settings)


# Which crops


def test_a_crop_is_a_function_of_seed_and_number(folder: Path) -> None:
    one, other = crops(folder, seed=3).train_crops, crops(folder, seed=3).train_crops
    first = [one[number]["image"] for number in (0, 1, 7)]
    second = [other[number]["image"] for number in (7, 0, 1)]
    for image, again in zip(first, (second[1], second[2], second[0]), strict=True):
        assert torch.equal(image, again)


@pytest.mark.parametrize(("seed", "number"), [(4, 7), (3, 8)])
def test_another_seed_or_number_is_another_crop(folder: Path, seed: int, number: int) -> None:
    one, other = crops(folder, seed=3).train_crops[7], crops(folder, seed=seed).train_crops[number]
    assert not torch.equal(one["image"], other["image"])


def test_an_item_has_its_image_name_and_number(folder: Path) -> None:
    item = crops(folder).train_crops[Crop(5, 12)]
    assert item["image"].shape == (3, 12, 12)
    assert item["index"] == 5
    assert (folder / f"{item['name']}.png").exists()


def test_pictures_of_validation_are_not_trained_on(folder: Path) -> None:
    data = crops(folder)
    train, val = (set(some.names) for some in (data.train_crops, data.held_out_crops.crops))
    assert train
    assert val
    assert not train & val
    assert len(train | val) == 12


def test_validation_looks_at_the_same_crops_whatever_the_seed(folder: Path) -> None:
    one, other = (list(attached(crops(folder, seed=seed)).val_dataloader()) for seed in (0, 1))
    assert [batch["index"].tolist() for batch in one] == [[0, 1], [2, 3], [4]]
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(one, other, strict=True))


def test_examples_are_crops_of_the_size_of_validation(folder: Path) -> None:
    data = crops(folder, sides=[12, 16])
    for split, source in (("train", data.train_crops), ("val", data.held_out_crops.crops)):
        found = torch.cat([batch["image"] for batch in data.examples(split, 3)])
        expected = torch.stack([source[Crop(number, 8)]["image"] for number in range(3)])
        assert torch.equal(found, expected)


# Batches

SIDES, BATCH, PASS = [8, 12, 16], 3, 4


def stream(taken: int, rank: int = 0, world_size: int = 1, seed: int = 0) -> list[list[Crop]]:
    """The batches from the one after ``taken`` to the end of the third pass."""
    batches, done = [], taken
    sampler = CropSampler(SIDES, BATCH, rank, world_size, seed, lambda: done, PASS)
    while done < 3 * PASS:
        batches += list(sampler)
        done = taken + len(batches)
    return batches


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("taken", range(1, 9))
def test_a_resumed_stream_goes_on_as_the_straight_one(taken: int, world_size: int) -> None:
    for rank in range(world_size):
        assert stream(taken, rank, world_size) == stream(0, rank, world_size)[taken:]


def numbers(batches: list[list[Crop]]) -> list[int]:
    return [crop.number for crop in itertools.chain(*batches)]


def test_no_crop_comes_twice() -> None:
    assert sorted(numbers(stream(0, 0, 2)) + numbers(stream(0, 1, 2))) == list(range(2 * 3 * PASS * BATCH))


def test_the_crops_of_a_batch_have_one_side_on_all_ranks() -> None:
    for one, other in zip(stream(0, 0, 2), stream(0, 1, 2), strict=True):
        assert len({crop.side for crop in one + other}) == 1


@pytest.mark.parametrize(("batch_size", "ranks", "accumulate"), [(3, 2, 1), (3, 1, 2), (1, 2, 3), (1, 6, 1)])
def test_a_step_of_as_many_crops_sees_the_same_however_it_is_split(
    batch_size: int, ranks: int, accumulate: int
) -> None:
    whole = [set(batch) for batch in CropSampler(SIDES, 6, 0, 1, 0, lambda: 0, PASS)]
    samplers = [
        CropSampler(SIDES, batch_size, rank, ranks, 0, lambda: 0, PASS * accumulate, accumulate)
        for rank in range(ranks)
    ]
    batches = [set(itertools.chain(*batch)) for batch in zip(*samplers, strict=True)]
    steps = [set.union(*batches[k * accumulate : (k + 1) * accumulate]) for k in range(PASS)]
    assert steps == whole


def test_all_sides_come() -> None:
    assert {crop.side for crop in itertools.chain(*stream(0))} == set(SIDES)


def test_sides_follow_from_the_seed() -> None:
    sides = [[batch[0].side for batch in stream(0, seed=seed)] for seed in (0, 0, 1)]
    assert sides[0] == sides[1]
    assert sides[0] != sides[2]


@pytest.mark.parametrize(("accumulate", "batches"), [(1, 7), (2, 8), (3, 9)])
def test_a_pass_is_a_whole_number_of_steps(folder: Path, accumulate: int, batches: int) -> None:
    data = attached(crops(folder, pass_batches=7), accumulate_grad_batches=accumulate)
    assert len(data.train_dataloader()) == batches


def test_a_loader_goes_on_after_the_steps_taken(folder: Path) -> None:
    data = attached(crops(folder, pass_batches=9), global_step=2, accumulate_grad_batches=3)
    assert next(iter(data.train_dataloader()))["index"].tolist() == [12, 13]


# Where from


@pytest.mark.parametrize("size", [(200, 100), (50, 300), (64, 64), (20, 90), (5000, 3000)], ids=str)
def test_a_crop_lies_inside_its_picture_and_its_scale_in_the_range(size: tuple[int, int]) -> None:
    side, shorter, least = 32, (64, 128), min(size)
    low, high = (max(side, min(bound, least)) for bound in shorter)
    for scale, left, top in torch.rand(50, 3).tolist():
        x, y, right, lower = crop_box(size, shorter, side, scale, left, top)
        assert 0 <= x < right <= size[0] + 1e-6
        assert 0 <= y < lower <= size[1] + 1e-6
        assert right - x == pytest.approx(lower - y)
        assert low - 1e-3 <= least * side / (right - x) <= high + 1e-3


@pytest.mark.parametrize(("scale", "shorter"), [(0.0, 64), (0.5, 90.5), (1.0, 128)])
def test_scales_reach_from_end_to_end_and_are_even_in_their_logarithm(scale: float, shorter: float) -> None:
    x, _, right, _ = crop_box((300, 200), (64, 128), 32, scale, 0.0, 0.0)
    assert 200 * 32 / (right - x) == pytest.approx(shorter, rel=1e-3)


def test_a_picture_smaller_than_the_crop_is_enlarged_as_little_as_needed() -> None:
    assert crop_box((20, 90), (64, 128), 32, 0.3, 0.5, 0.0) == (0, 0, 20, 20)


def test_crops_larger_than_pictures_have_their_side(folder: Path) -> None:
    assert crops(folder).train_crops[Crop(0, 48)]["image"].shape == (3, 48, 48)


def test_a_crop_at_full_scale_is_a_piece_of_the_picture(tmp_path: Path) -> None:
    """Nothing is resampled where a picture is as small as ``shorter`` asks for."""
    write_pictures(tmp_path, 1, (16, 16))
    whole = Pictures([tmp_path / "000.png"], 3, 16)
    image = CropDataset(whole, ["000"], (16, 16), 0, flip=False)[Crop(0, 16)]["image"]
    assert torch.equal(image, read_image(tmp_path / "000.png", 3))


# Mirroring


def variants(folder: Path, **settings: bool) -> list[int]:
    """Which of the eight mirror images each of 40 crops is."""
    plain, other = crops(folder, flip=False).train_crops, crops(folder, **settings).train_crops
    return [mirror_image(plain[number]["image"], other[number]["image"]) for number in range(40)]


def mirror_image(plain: Tensor, image: Tensor) -> int:
    """Bit 0: left to right; bit 1: upside down; bit 2: along the diagonal, last."""
    for k in range(8):
        x = plain.flip(-1) if k & 1 else plain
        x = x.flip(-2) if k & 2 else x
        if torch.equal(x.mT if k & 4 else x, image):
            return k
    raise AssertionError("not a mirror image")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"flip": True}, {0, 1}),
        ({"flip": False}, {0}),
        ({"flip": False, "turn": True}, {0, 2, 4, 6}),
        ({"flip": True, "turn": True}, set(range(8))),
    ],
)
def test_crops_are_mirrored_as_asked(folder: Path, settings: dict[str, bool], expected: set[int]) -> None:
    assert set(variants(folder, **settings)) == expected


def test_about_half_of_the_crops_are_mirrored(folder: Path) -> None:
    assert 10 < sum(variants(folder, flip=True)) < 30


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sides": [8, 0]}, r"data\.sides must be positive, got \[8, 0\]"),
        ({"shorter": (32, 16)}, r"data\.shorter must be two growing numbers of pixels, got \[32, 16\]"),
        ({"shorter": (0, 16)}, r"data\.shorter"),
        ({"val_crops": 0}, "must be at least 1, got 0 and"),
        ({"pass_batches": 0}, "must be at least 1, got 5 and 0"),
    ],
)
def test_settings_out_of_range_are_refused(folder: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        crops(folder, **settings)
