"""Small images that would keep a decoder busy for minutes, or fill the memory: refused."""

import lzma
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hostile import frugal
from tifffile import _imagecodecs

from lightning_inv.data.image_files import read_image

pytestmark = pytest.mark.faults

COMPRESSED = {
    8: zlib.compress,
    32946: zlib.compress,
    34925: lzma.compress,
    32773: lambda data: b"\x81\0" * (len(data) // 128),
}
"""What compresses zeros, by the number that a TIFF gives it."""


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tifffile's decoders there are those alone that are its own, as without imagecodecs."""
    own = dict.fromkeys((8, 32946, 50013), _imagecodecs.zlib_decode)
    own |= {
        34925: _imagecodecs.lzma_decode,
        32773: _imagecodecs.packbits_decode,
        50000: _imagecodecs.zlib_decode,
    }
    for number, decoder in own.items():
        monkeypatch.setitem(tifffile.TIFF.DECOMPRESSORS._codecs, number, decoder)


def tiff(path: Path, compression: int, data: bytes, turned: bool = False, tile: int = 0) -> Path:
    """A TIFF of 8 x 8 numbers of 16 bits, which Pillow does not read, in one strip or one tile."""
    told = {256: 8, 257: 8, 258: 16, 259: compression, 262: 1, 266: 1 + turned, 273: 8, 278: 8}
    told |= {279: len(data), 339: 3}
    told |= {322: tile, 323: tile, 324: 8, 325: len(data)} if tile else {}
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(told.items()))
    head = b"II*\0" + struct.pack("<I", 8 + len(data) + len(data) % 2) + data + bytes(len(data) % 2)
    path.write_bytes(head + struct.pack("<H", len(told)) + tags + bytes(4))
    return path


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("compression", COMPRESSED)
def test_a_strip_that_inflates_without_an_end_takes_no_memory(tmp_path: Path, compression: int) -> None:
    bomb = COMPRESSED[compression](bytes(2**26))
    path = tiff(tmp_path / "a.tif", compression, bomb)
    with frugal(), pytest.raises(ValueError, match=r"a\.tif .* inflates to more than its 128 bytes"):
        read_image(path, 1)


@pytest.mark.usefixtures("bare")
def test_a_strip_of_many_streams_takes_no_memory(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", 34925, lzma.compress(bytes(128)) * 200)
    with pytest.raises(ValueError, match=r"a\.tif .* inflates to more than its 128 bytes"):
        read_image(path, 1)


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("compression", COMPRESSED)
def test_a_strip_as_large_as_it_should_be_is_read(tmp_path: Path, compression: int, turned: bool) -> None:
    data = COMPRESSED[compression](bytes(128))
    data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data) if turned else data
    assert (read_image(tiff(tmp_path / "a.tif", compression, data, turned), 1) == -1).all()


@pytest.mark.usefixtures("bare")
def test_numbers_packed_by_bytes_are_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((8, 8)).astype(np.float16)
    stored = b"\x80" + b"".join(b"\x0f" + row.tobytes() for row in values)
    found = read_image(tiff(tmp_path / "a.tif", 32773, stored), 1)
    torch.testing.assert_close(found[0], torch.tensor(values).float() * 2 - 1)


@pytest.mark.usefixtures("bare")
def test_a_compression_that_has_no_bound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.tif .* ZSTD, is read where imagecodecs is installed"):
        read_image(tiff(tmp_path / "a.tif", 50000, zlib.compress(bytes(128))), 1)


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.usefixtures("bare")
def test_a_tile_far_larger_than_the_image_takes_no_memory(tmp_path: Path, compression: int) -> None:
    data = bytes(128) if compression == 1 else zlib.compress(bytes(2**26))
    with (
        frugal(),
        pytest.raises(ValueError, match=r"a\.tif .* its tiles have 400000000 numbers, but it has 64"),
    ):
        read_image(tiff(tmp_path / "a.tif", compression, data, tile=20_000), 1)


@pytest.mark.usefixtures("bare")
def test_a_tile_that_is_larger_than_the_image_is_read(tmp_path: Path) -> None:
    stored = zlib.compress(np.ones((64, 64), np.float16).tobytes())
    assert (read_image(tiff(tmp_path / "a.tif", 8, stored, tile=64), 1) == 1).all()
