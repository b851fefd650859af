"""Fashion-MNIST, and data without files of the user."""

import gzip
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from helpers import names_of

from lightning_inv.data import (
    Digits,
    FashionMNIST,
    NoImages,
    SampleImages,
)
from lightning_inv.data.fashion_mnist import read_idx


def idx(array: np.ndarray) -> bytes:
    """An array of bytes in the idx format."""
    sides = b"".join(int(side).to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sides + array.astype(np.uint8).tobytes()


def garments(folder: Path, zipped: bool = False, count: int = 20) -> dict[str, np.ndarray]:
    """Writes the four files with a few images; returns the arrays by the names of their files."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part in ("train", "t10k"):
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (count, 28, 28))
        arrays[f"{part}-labels-idx1-ubyte"] = rng.integers(0, 10, count)
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        data = idx(array)
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(data) if zipped else data)
    return arrays


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("place", [".", "FashionMNIST/raw"])
def test_garments_are_found_where_torchvision_puts_them(tmp_path: Path, place: str, zipped: bool) -> None:
    arrays = garments(tmp_path / place, zipped)
    data = FashionMNIST(str(tmp_path), download=False)
    data.prepare_data()
    item = data.dataset("test")[3]
    expected = np.pad(arrays["t10k-images-idx3-ubyte"][3] / 127.5 - 1, 2, constant_values=-1)
    np.testing.assert_allclose(item["image"][0].numpy(), expected, atol=1e-6)
    assert item["label"] == arrays["t10k-labels-idx1-ubyte"][3]


def test_garments_of_validation_are_not_trained_on(tmp_path: Path) -> None:
    garments(tmp_path)
    data = FashionMNIST(str(tmp_path), download=False)
    train, val = set(names_of(data, "train")), set(names_of(data, "val"))
    assert train
    assert val
    assert not train & val
    assert len(train | val) == 20


def test_a_thousand_garments_are_held_out(tmp_path: Path) -> None:
    garments(tmp_path, count=3000)
    data = FashionMNIST(str(tmp_path), download=False)
    assert (len(data.dataset("train")), len(data.dataset("val"))) == (2000, 1000)
    assert names_of(data, "val")[0] == "train02000"


def cut(data: bytes) -> bytes:
    return data[:-10]


def spoil(data: bytes) -> bytes:
    return data[:40] + bytes(byte ^ 255 for byte in data[40:-8]) + data[-8:]


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        ("", cut(idx(np.zeros((3, 28, 28))))),
        ("", b""),
        ("", b"<html>not found</html>"),
        ("", idx(np.zeros((3, 28, 28))) + b"more"),
        (".gz", cut(gzip.compress(idx(np.zeros((3, 28, 28))), mtime=0))),
        (".gz", spoil(gzip.compress(idx(np.arange(4704).reshape(6, 28, 28) % 251), mtime=0))),
        (".gz", b"<html>not found</html>"),
        (".gz", b""),
    ],
)
def test_an_idx_file_that_is_damaged_is_named(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.* is not a complete"):
        read_idx(path, (28, 28))


def test_absent_garments_are_not_downloaded_unasked(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", lambda *_, **__: pytest.fail("downloads"))
    with pytest.raises(FileNotFoundError, match=rf"no Fashion-MNIST .* in {tmp_path} and data\.download is"):
        FashionMNIST(str(tmp_path), download=False).prepare_data()


def test_garments_without_labels_are_downloaded(tmp_path: Path, monkeypatch: Any) -> None:
    garments(tmp_path)
    for labels in tmp_path.glob("*labels*"):
        labels.unlink()
    asked = []
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", lambda *_, **__: asked.append(True))
    FashionMNIST(str(tmp_path)).prepare_data()
    assert asked


@pytest.mark.parametrize("error", [urllib.error.URLError("no route to host"), RuntimeError("all mirrors")])
def test_a_failing_download_says_what_to_do(tmp_path: Path, monkeypatch: Any, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", fail)
    with pytest.raises(
        FileNotFoundError, match=r"could not be downloaded \(.+\)\. Put the four .*data\.root"
    ):
        FashionMNIST(str(tmp_path)).prepare_data()


# Data without files of the user


def test_digits_have_three_disjoint_splits() -> None:
    data = Digits()
    parts = [set(names_of(data, split)) for split in data.splits]
    assert [len(part) for part in parts] == [1439, 179, 179]
    assert len(set.union(*parts)) == 1797


def test_digits_are_images_with_labels() -> None:
    items = list(Digits().dataset("train"))
    images = torch.stack([item["image"] for item in items])
    assert images.shape == (1439, 1, 8, 8)
    assert (images.min(), images.max()) == (-1, 1)
    assert {item["label"] for item in items} == set(range(10))
    assert [item["index"] for item in items] == list(range(1439))


def test_there_are_64_sample_images() -> None:
    data = SampleImages()
    items = [item for split in ("test", "val") for item in data.dataset(split)]
    images = torch.stack([item["image"] for item in items])
    assert (len(data.dataset("test")), len(data.dataset("val"))) == (48, 16)
    assert images.shape == (64, 1, 32, 32)
    assert (images.min(), images.max()) == (-1, 1)
    assert len({item["name"] for item in items}) == 64


def test_no_images_have_names_alone() -> None:
    items = list(NoImages(3).dataset("all"))
    assert items == [{"name": f"sample{i:05d}", "index": i} for i in range(3)]


def test_no_images_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.count must be at least 1, got 0"):
        NoImages(0)
