"""What comes out of files and folders, and in which order."""

import gzip
import itertools
import urllib.error
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import ExifTags, Image

from lightning_inv.data import (
    Digits,
    FashionMNIST,
    ImageDataModule,
    ImageFolder,
    MeasurementFolder,
    NoImages,
    SampleImages,
    StreamSampler,
)
from lightning_inv.data.base import First
from lightning_inv.data.fashion_mnist import read_idx
from lightning_inv.data.folder import hash_fraction
from lightning_inv.data.image_files import image_names, image_size, read_image

GREY = 51  # 51 / 127.5 - 1 = -0.6


def flat(mode: str, size: tuple[int, int] = (6, 4)) -> Image.Image:
    """A picture of one grey, ``size`` being width and height."""
    if mode == "I;16":
        return Image.fromarray(np.full(size[::-1], GREY * 257, dtype=np.uint16))
    if mode == "P":
        return flat("RGB", size).convert("P", palette=Image.Palette.ADAPTIVE)
    value = {"L": GREY, "LA": (GREY, 128), "RGB": (GREY,) * 3, "RGBA": (GREY, GREY, GREY, 128)}
    return Image.new(mode, size, value[mode])


def ramp(height: int, width: int) -> Image.Image:
    """A grey picture in which every pixel differs."""
    return Image.fromarray(np.arange(height * width, dtype=np.uint8).reshape(height, width))


def write(path: Path, picture: Image.Image | None = None, **settings: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture or flat("L")).save(path, **settings)
    return path


def truncated(path: Path) -> Path:
    write(path, ramp(16, 16))
    path.write_bytes(path.read_bytes()[:-60])
    return path


def text(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("no image at all")
    return path


def empty(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


BROKEN = [truncated, text, empty]
MODES = ["L", "LA", "RGB", "RGBA", "P", "I;16"]


def names_of(data: ImageDataModule, split: str = "all") -> list[str]:
    return list(data.dataset(split).names)


# One image


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_png_is_read_to_the_same_range(tmp_path: Path, mode: str, channels: int) -> None:
    x = read_image(write(tmp_path / "a.png", flat(mode)), channels)
    torch.testing.assert_close(x, torch.full((channels, 4, 6), -0.6), atol=1e-6, rtol=0)


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "bmp", "tif", "webp", "ppm"])
def test_every_kind_of_file_is_read(tmp_path: Path, suffix: str) -> None:
    x = read_image(write(tmp_path / f"a.{suffix}", flat("RGB")), 3)
    torch.testing.assert_close(x, torch.full((3, 4, 6), -0.6), atol=0.01, rtol=0)


def test_a_16_bit_image_keeps_its_order_of_brightness(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 257 * 128, 65535]], dtype=np.uint16)
    x = read_image(write(tmp_path / "a.png", Image.fromarray(values)), 1)
    expected = torch.tensor([0, 1, 1, 128, 255]) / 127.5 - 1
    torch.testing.assert_close(x[0, 0], expected)


@pytest.mark.parametrize("picture", ["F", "I"])
def test_pixels_of_no_known_range_are_refused(tmp_path: Path, picture: str) -> None:
    path = write(tmp_path / "a.tif", Image.new(picture, (4, 4), 70000))
    with pytest.raises(ValueError, match=r"a\.tif cannot be read as an image"):
        read_image(path, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = write(tmp_path / "a.png", ramp(3, 5), exif=exif)
    stored = np.arange(15).reshape(3, 5)
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: np.rot90(stored, -1),
        7: stored.T[::-1, ::-1],
        8: np.rot90(stored, 1),
    }[orientation]
    x = read_image(path, 1)
    np.testing.assert_allclose(x[0].numpy(), upright / 127.5 - 1, atol=1e-6)
    assert image_size(path) == tuple(x.shape[1:])


def test_the_middle_of_a_wide_image_is_kept(tmp_path: Path) -> None:
    columns = np.zeros((4, 12), dtype=np.uint8)
    columns[:, 4:8] = 255
    x = read_image(write(tmp_path / "a.png", Image.fromarray(columns)), 1, (4, 4))
    torch.testing.assert_close(x, torch.ones(1, 4, 4))


@pytest.mark.parametrize("size", [(8, 8), (4, 12), (16, 6)])
@pytest.mark.parametrize("stored", [(10, 10), (5, 20), (30, 7)])
def test_images_are_cut_to_the_size_asked_for(tmp_path: Path, size: tuple, stored: tuple) -> None:
    x = read_image(write(tmp_path / "a.png", flat("RGB", stored)), 3, size)
    torch.testing.assert_close(x, torch.full((3, *size), -0.6), atol=1e-6, rtol=0)


def test_colours_become_luma_in_grey(tmp_path: Path) -> None:
    x = read_image(write(tmp_path / "a.png", Image.new("RGB", (2, 2), (0, 255, 0))), 1)
    torch.testing.assert_close(x, torch.full((1, 2, 2), 2 * 0.587 - 1), atol=0.01, rtol=0)


@pytest.mark.parametrize("damage", BROKEN)
def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path, damage: Callable[[Path], Path]) -> None:
    with pytest.raises(ValueError, match=r"broken\.png cannot be read as an image"):
        read_image(damage(tmp_path / "broken.png"), 1)


# Folders of images


def test_folders_in_folders_are_read_in_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.JPG", "a/c d/ü ñ.png", "雪.png"):
        write(tmp_path / name)
    text(tmp_path / "notes.txt")
    write(tmp_path / ".hidden.png")
    (tmp_path / "folder.png").mkdir()
    assert names_of(ImageFolder(str(tmp_path), 4)) == ["a/c d/ü ñ", "a/z", "b", "雪"]


def test_an_item_has_its_image_name_and_index(tmp_path: Path) -> None:
    write(tmp_path / "a.png", flat("L"))
    write(tmp_path / "b.png", flat("RGB"))
    item = ImageFolder(str(tmp_path), (4, 6), 1).dataset("all")[1]
    assert (item["name"], item["index"], item["image"].shape) == ("b", 1, (1, 4, 6))


@pytest.mark.parametrize("files", [["a.png", "a.jpg"], ["a.png", "a.jpg", "a.png.png"]])
def test_files_that_differ_in_their_suffix_have_names_of_their_own(files: list[str]) -> None:
    names = image_names(Path(), [Path(file) for file in files])
    assert len(set(names)) == len(files)


def test_splits_are_disjoint_and_complete(tmp_path: Path) -> None:
    for i in range(20):
        write(tmp_path / f"{i}.png")
    data = ImageFolder(str(tmp_path), 4, 1, val_fraction=0.5)
    train, val = set(names_of(data, "train")), set(names_of(data, "val"))
    assert train
    assert val
    assert not train & val
    assert train | val == set(names_of(data))


@pytest.mark.parametrize(("fraction", "held_out"), [(1e-9, 1), (0.0, 0)])
def test_one_of_few_images_is_held_out_unless_none_is_wanted(
    tmp_path: Path, fraction: float, held_out: int
) -> None:
    for i in range(3):
        write(tmp_path / f"{i}.png")
    data = ImageFolder(str(tmp_path), 4, 1, val_fraction=fraction)
    assert (len(data.dataset("val")), len(data.dataset("train"))) == (held_out, 3 - held_out)


def test_images_that_are_added_move_no_other_to_another_split(tmp_path: Path) -> None:
    for i in range(20):
        write(tmp_path / f"{i}.png")
    before = {f.name for f in ImageFolder(str(tmp_path), 4, 1, val_fraction=0.5).dataset("val").files}
    for i in range(20):
        write(tmp_path / f"{i}.jpg")
        write(tmp_path / f"new {i}.png")
    after = {f.name for f in ImageFolder(str(tmp_path), 4, 1, val_fraction=0.5).dataset("val").files}
    old = {f"{i}.png" for i in range(20)}
    assert after & old == before


@pytest.mark.parametrize("fraction", [0.05, 0.3])
def test_the_share_of_validation_is_about_what_was_asked_for(fraction: float) -> None:
    held_out = sum(hash_fraction(f"folder/image {i}") < fraction for i in range(2000)) / 2000
    assert abs(held_out - fraction) < 4 * (fraction * (1 - fraction) / 2000) ** 0.5


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_file_stops_before_any_work(tmp_path: Path, damage: Callable[[Path], Path]) -> None:
    write(tmp_path / "good.png")
    damage(tmp_path / "sub" / "broken.png")
    with pytest.raises(ValueError, match=r"sub/broken\.png .* \(1 of 2 images are broken"):
        ImageFolder(str(tmp_path), 4, 1).setup("fit")


@pytest.mark.parametrize("damage", BROKEN)
def test_only_the_broken_file_is_skipped(tmp_path: Path, damage: Callable[[Path], Path]) -> None:
    for name in ("a.png", "c.png"):
        write(tmp_path / name)
    damage(tmp_path / "b.png")
    data = ImageFolder(str(tmp_path), 4, 1, skip_broken=True)
    data.setup("fit")
    assert names_of(data) == ["a", "c"]


def test_a_folder_of_broken_files_alone_is_refused(tmp_path: Path) -> None:
    text(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"every image in .* is broken"):
        ImageFolder(str(tmp_path), 4, 1, skip_broken=True).setup("fit")


def test_unverified_images_fail_when_they_are_read(tmp_path: Path) -> None:
    text(tmp_path / "a.png")
    images = ImageFolder(str(tmp_path), 4, 1, verify=False).dataset("all")
    with pytest.raises(ValueError, match=r"a\.png cannot be read"):
        images[0]


@pytest.mark.parametrize("kind", [lambda root: ImageFolder(root, 4), lambda root: MeasurementFolder(root)])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, kind: Callable[[str], ImageDataModule]) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        kind(str(tmp_path / "nowhere")).dataset("all")


@pytest.mark.parametrize("kind", [lambda root: ImageFolder(root, 4), lambda root: MeasurementFolder(root)])
def test_a_folder_without_images_is_named(tmp_path: Path, kind: Callable[[str], ImageDataModule]) -> None:
    text(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError, match=rf"no image .* in {tmp_path}"):
        kind(str(tmp_path)).dataset("all")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size must be positive, got 0"),
        ({"size": (8, -1)}, "size must be positive"),
        ({"channels": 2}, "channels must be 1 .* or 3 .*, got 2"),
        ({"val_fraction": 1.0}, r"val_fraction must be in \[0, 1\), got 1.0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"limit": 0}, "limit must be at least 1, got 0"),
        ({"split": "test"}, "ImageFolder has the splits all, train, val; got 'test'"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageFolder("anywhere", **{"size": 8, **settings})


def test_the_fingerprint_tells_that_a_file_changed(tmp_path: Path) -> None:
    write(tmp_path / "a.png", flat("L"))
    before = ImageFolder(str(tmp_path), 4, 1).dataset("all").fingerprint()
    write(tmp_path / "a.png", ramp(4, 6))
    assert ImageFolder(str(tmp_path), 4, 1).dataset("all").fingerprint() != before


# Folders of measurements


def test_measurements_are_read_as_they_are(tmp_path: Path) -> None:
    write(tmp_path / "a.png", ramp(5, 7))
    item = MeasurementFolder(str(tmp_path), channels=1).dataset("all")[0]
    assert item.keys() == {"measurement", "name", "index"}
    np.testing.assert_allclose(item["measurement"][0].numpy() * 127.5 + 127.5, np.arange(35).reshape(5, 7))


def test_the_truth_has_the_name_of_its_measurement(tmp_path: Path) -> None:
    for name in ("b.png", "c.png"):
        write(tmp_path / "y" / name)
    for name, colour in (("a.png", "red"), ("b.jpg", "black"), ("c.png", "white")):
        write(tmp_path / "x" / name, Image.new("RGB", (6, 4), colour))
    data = MeasurementFolder(str(tmp_path / "y"), str(tmp_path / "x"), channels=1, truth_channels=3)
    b, c = data.dataset("all")
    assert (b["name"], b["image"].shape, b["image"].mean()) == ("b", (3, 4, 6), -1)
    assert (c["name"], c["image"].shape, c["image"].mean()) == ("c", (3, 4, 6), 1)


def test_a_missing_truth_is_named(tmp_path: Path) -> None:
    for name in ("y/a.png", "y/b.png", "x/a.png"):
        write(tmp_path / name)
    data = MeasurementFolder(str(tmp_path / "y"), str(tmp_path / "x"), channels=1)
    with pytest.raises(ValueError, match=r"no true image 'b' in .*x \(1 are missing\)"):
        data.dataset("all")


def test_measurements_of_two_sizes_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.png", flat("L", (6, 4)))
    write(tmp_path / "b.png", flat("L", (6, 5)))
    with pytest.raises(ValueError, match=r"a\.png has 4 x 6 pixels, .*b\.png has 5 x 6"):
        MeasurementFolder(str(tmp_path), channels=1).dataset("all")


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_measurement_is_named(tmp_path: Path, damage: Callable[[Path], Path]) -> None:
    damage(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png cannot be read as an image"):
        MeasurementFolder(str(tmp_path), channels=1).dataset("all")


@pytest.mark.parametrize("channels", [{"channels": 2}, {"truth_channels": 2}])
def test_measurements_are_grey_or_rgb(channels: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"channels must be 1 .* or 3 .*, got 2"):
        MeasurementFolder("anywhere", **channels)


# Fashion-MNIST


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
        (".gz", cut(gzip.compress(idx(np.zeros((3, 28, 28)))))),
        (".gz", spoil(gzip.compress(idx(np.arange(4704).reshape(6, 28, 28) % 251)))),
        (".gz", b"<html>not found</html>"),
        (".gz", b""),
    ],
)
def test_an_idx_file_that_is_damaged_is_named(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.* is not a complete"):
        read_idx(path)


def test_absent_garments_are_not_downloaded_unasked(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", lambda *_, **__: pytest.fail("downloads"))
    with pytest.raises(FileNotFoundError, match=rf"no Fashion-MNIST .* in {tmp_path} and data\.download is"):
        FashionMNIST(str(tmp_path), download=False).prepare_data()


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
    items = list(SampleImages().dataset("test"))
    images = torch.stack([item["image"] for item in items])
    assert images.shape == (64, 1, 32, 32)
    assert (images.min(), images.max()) == (-1, 1)
    assert len({item["name"] for item in items}) == 64


def test_no_images_have_names_alone() -> None:
    items = list(NoImages(3).dataset("all"))
    assert items == [{"name": f"sample{i:05d}", "index": i} for i in range(3)]


def test_no_images_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.count must be at least 1, got 0"):
        NoImages(0)


# Loaders


def attached(data: ImageDataModule, **state: Any) -> ImageDataModule:
    """The data with a stand-in for the trainer."""
    progress = SimpleNamespace(batch_idx=state.pop("batch_idx", 0))
    defaults = {"global_step": 0, "global_rank": 0, "world_size": 1, "accumulate_grad_batches": 1}
    data.trainer = SimpleNamespace(**{**defaults, **state}, training=True, fit_loop=progress)
    return data


@pytest.mark.parametrize("limit", [1, 5, 1000, None])
def test_the_limit_takes_the_first_images(limit: int | None) -> None:
    data = Digits(limit=limit)
    assert list(data.selected().names) == names_of(data, "test")[:limit]


def test_two_ranks_share_what_is_not_finished() -> None:
    data = Digits(batch_size=2, limit=9)
    data.finished = frozenset({0, 4})
    shares = []
    for rank in range(2):
        batches = list(attached(data, global_rank=rank, world_size=2).predict_dataloader())
        shares.append([i for batch in batches for i in batch["index"].tolist()])
    assert sorted(itertools.chain(*shares)) == [1, 2, 3, 5, 6, 7, 8]


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


def flipped(seed: int = 0, **state: Any) -> torch.Tensor:
    """Which of 64 images are mirrored."""
    data = attached(Digits(flip=True, seed=seed), **state)
    x = torch.arange(8.0).expand(64, 1, 8, 8)
    return data.on_after_batch_transfer({"image": x}, 0)["image"][:, 0, 0, 0] == 7


def test_flips_follow_from_seed_and_step() -> None:
    assert torch.equal(flipped(global_step=3), flipped(global_step=3))


@pytest.mark.parametrize("change", [{"seed": 1}, {"global_step": 4}, {"global_rank": 1}, {"batch_idx": 1}])
def test_flips_change_with(change: dict[str, int]) -> None:
    assert not torch.equal(flipped(**{"global_step": 3, **change}), flipped(global_step=3))


def test_about_half_of_the_images_are_flipped() -> None:
    assert 16 < sum(flipped(global_step=step).sum() for step in range(8)) / 8 < 48


def test_images_are_not_flipped_unless_training() -> None:
    data = attached(Digits(flip=True))
    data.trainer.training = False
    x = torch.arange(8.0).expand(64, 1, 8, 8)
    assert torch.equal(data.on_after_batch_transfer({"image": x}, 0)["image"], x)


# The order of training images

LENGTH, BATCH = 23, 3


def stream(taken: int, rank: int = 0, world_size: int = 1, seed: int = 0, passes: int = 3) -> list[list[int]]:
    """The batches from the one after ``taken`` to the end of the last pass, as a loader would form them."""
    done = taken
    sampler = StreamSampler(LENGTH, BATCH, rank, world_size, seed, lambda: done)
    batches = []
    while done < passes * sampler.batches:
        order = list(sampler)
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


def test_two_ranks_see_the_global_batches_of_one() -> None:
    ranks: Sequence[list[list[int]]] = [stream(0, rank, 2, passes=1) for rank in range(2)]
    sampler = StreamSampler(LENGTH, 2 * BATCH, 0, 1, 0, lambda: 0)
    assert [a + b for a, b in zip(*ranks, strict=True)] == np.array(list(sampler)).reshape(-1, 6).tolist()


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
