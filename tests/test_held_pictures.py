"""Pictures that crops are cut from: decoded no larger than needed, and held while there is room."""

from pathlib import Path

import pytest
import torch
from fakes import write_pictures
from helpers import attached
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from lightning_inv.data import ImageCrops
from lightning_inv.data.crops import MEMORY, CropDataset, Pictures
from lightning_inv.data.image_files import open_image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of 40 x 30 pixels."""
    root = tmp_path_factory.mktemp("pictures")
    write_pictures(root, 12, (40, 30))
    return root


def crops(folder: Path) -> ImageCrops:
    return ImageCrops(str(folder), 8, shorter=(16, 32), val_fraction=0.3, batch_size=2)


def test_pictures_are_held_while_there_is_room(folder: Path) -> None:
    files = sorted(folder.glob("*.png"))
    pictures = Pictures(files, 3, 100, memory=2 * 40 * 30 * 3 + 1)
    held = [pictures[i] for i in range(4)]
    assert set(pictures.held) == {0, 1}
    assert [pictures[i] is held[i] for i in range(4)] == [True, True, False, False]


class _Held(Dataset):
    """How many of twelve pictures are held, after a look at all."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        return sum(self.pictures[i].size[0] > 0 for i in range(12)) and len(self.pictures.held)


@pytest.mark.parametrize(("workers", "held"), [(0, 6), (2, 3)])
def test_workers_have_equal_parts_of_the_room(folder: Path, workers: int, held: int) -> None:
    pictures = Pictures(sorted(folder.glob("*.png")), 3, 100, memory=6 * 40 * 30 * 3)
    assert torch.cat(list(DataLoader(_Held(pictures), num_workers=workers))).tolist() == [held] * 4


@pytest.mark.parametrize("devices", [1, 2])
def test_splits_and_devices_share_the_room(folder: Path, devices: int) -> None:
    data = attached(crops(folder), num_devices=devices)
    train, val = (some.pictures for some in (data.train_crops, data.held_out_crops.crops))
    assert train.memory + val.memory == pytest.approx(MEMORY / devices, abs=2)
    assert train.memory / val.memory == pytest.approx(len(train) / len(val), rel=1e-6)


def test_loaders_and_examples_of_a_split_share_what_is_held(folder: Path) -> None:
    data = attached(crops(folder))
    held = data.train_crops.pictures.held
    next(iter(data.train_dataloader()))
    before = len(held)
    list(data.examples("train", 12))
    assert 0 < before < len(held)


def test_a_crop_is_the_same_whether_its_picture_is_held_or_not(folder: Path) -> None:
    files = sorted(folder.glob("*.png"))
    one, other = (
        CropDataset(Pictures(files, 3, 100, memory=memory), files, (16, 32), 0, flip=True)
        for memory in (10**6, 0)
    )
    for _ in range(2):
        assert all(torch.equal(one[number]["image"], other[number]["image"]) for number in range(8))


@pytest.mark.parametrize(("shorter", "size"), [(15, (15, 20)), (30, (30, 40)), (99, (30, 40))])
def test_pictures_are_made_smaller_never_larger(folder: Path, shorter: int, size: tuple[int, int]) -> None:
    assert Pictures([folder / "000.png"], 3, shorter)[0].size == size


@pytest.mark.parametrize("shorter", [10, 15, 29, 30, 99])
def test_jpegs_are_decoded_smaller_and_scaled_as_others(
    tmp_path: Path, shorter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    monkeypatch.setattr(
        "lightning_inv.data.crops.open_image",
        lambda *settings: sizes.append((opened := open_image(*settings)).size) or opened,
    )
    Image.new("RGB", (80, 60)).save(tmp_path / "a.jpg")
    assert min(Pictures([tmp_path / "a.jpg"], 3, shorter)[0].size) == min(shorter, 60)
    assert sizes == [(80, 60) if shorter > 30 else (40, 30) if shorter > 15 else (20, 15)]
