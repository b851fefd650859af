"""What a file holds is decoded as the file is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import MODES, flat, numbers, ramp, save, write
from PIL import Image

from lightning_inv.data.contents import FileContents
from lightning_inv.data.image_files import read_image

KINDS = [f"{kind}{suffix}" for kind in MODES for suffix in (".png", ".tif")]


def held(path: Path) -> FileContents:
    return FileContents(f"s3://anywhere/{path.name}", path.read_bytes())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_decoded_as_their_files_are(tmp_path: Path, kind: str, channels: int) -> None:
    path = write(tmp_path / kind, flat(kind.split(".")[0]))
    assert torch.equal(read_image(held(path), channels), read_image(path, channels))


@pytest.mark.parametrize("turned", [1, 6])
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png", ".tif"])
def test_pictures_are_turned_as_their_files_are(tmp_path: Path, suffix: str, turned: int) -> None:
    exif = Image.Exif()
    exif[274] = turned
    path = write(tmp_path / f"a{suffix}", ramp(6, 9), exif=exif)
    assert torch.equal(read_image(held(path), 1, (4, 4)), read_image(path, 1, (4, 4)))


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("kind", ["uint8 .png", "uint16 .png", "uint16 .tif", "float32 .tif"])
def test_numbers_are_decoded_as_their_files_are(tmp_path: Path, kind: str, count: int) -> None:
    dtype, suffix = kind.split()
    path = save(tmp_path / f"a{suffix}", numbers(count), dtype)
    assert torch.equal(read_image(held(path), count), read_image(path, count))


def test_arrays_are_decoded_as_their_files_are(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", numbers(5))
    assert torch.equal(read_image(held(tmp_path / "a.npy"), 5), read_image(tmp_path / "a.npy", 5))


@pytest.mark.faults
def test_arrays_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"s3://anywhere/a\.npy cannot be read as an image: .*allow_pickle"):
        read_image(held(tmp_path / "a.npy"), 1)
