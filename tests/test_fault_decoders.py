"""Small images that would keep a decoder busy for minutes, or fill the memory: refused."""

import io
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hostile import each_way, frugal
from PIL import Image
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
    with pytest.raises(ValueError, match=r"a\.tif .* ZSTD, is not supported"):
        read_image(tiff(tmp_path / "a.tif", 50000, zlib.compress(bytes(128))), 1)


PICTURES = {7: "jpeg", 34933: "png", 50001: "webp"}
"""Strips that are pictures, by the number that a TIFF gives their kind."""


def strip(side: int, kind: str) -> bytes:
    """A black picture."""
    stored = io.BytesIO()
    Image.new("L", (side, side)).save(stored, kind)
    return stored.getvalue()


@pytest.fixture
def pictured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures in strips are decoded whole, as by imagecodecs; so are those that cannot be bounded."""
    for number in (*PICTURES, 34712):
        decoder = lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("L"))  # noqa: E731
        monkeypatch.setitem(tifffile.TIFF.DECOMPRESSORS._codecs, number, decoder)


@pytest.mark.usefixtures("pictured")
@pytest.mark.parametrize("compression", PICTURES)
def test_a_strip_that_is_a_larger_picture_is_refused(tmp_path: Path, compression: int) -> None:
    path = tiff(tmp_path / "a.tif", compression, strip(1000, PICTURES[compression]))
    with pytest.raises(ValueError, match=r"a\.tif .* a strip or tile of it has 1000 x 1000 pixels"):
        read_image(path, 1)


@pytest.mark.usefixtures("pictured")
def test_a_strip_that_is_a_picture_of_its_size_is_read(tmp_path: Path) -> None:
    assert (read_image(tiff(tmp_path / "a.tif", 34933, strip(8, "png")), 1) == -1).all()


@pytest.mark.usefixtures("pictured")
def test_a_strip_of_endless_scans_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.tif .* it has more than 100 scans"):
        read_image(tiff(tmp_path / "a.tif", 7, jpeg(200, progressive=True)), 1)


@pytest.mark.usefixtures("pictured")
def test_a_strip_of_a_picture_of_unknown_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.tif .* its compression, JPEG2000, is not supported"):
        read_image(tiff(tmp_path / "a.tif", 34712, b"picture"), 1)


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


# Scans of JPEGs


def jpeg(scans: int, between: bytes = b"", more: bytes = b"", **settings: bool) -> bytes:
    """A JPEG of 8 x 8 black pixels whose last scan comes so many times more."""
    stored = io.BytesIO()
    Image.new("L", (8, 8)).save(stored, "jpeg", **settings)
    start, end = stored.getvalue().rindex(b"\xff\xda"), len(stored.getvalue()) - 2
    head, scan = stored.getvalue()[:start], stored.getvalue()[start:end]
    return head + scan + (between + scan) * scans + b"\xff\xd9" + more


def part(kind: int, data: bytes) -> bytes:
    """A part of a JPEG."""
    return struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data


BETWEEN = {
    "nothing": b"",
    "a comment with an end": part(0xFE, b"\xff\xd9"),
    "bytes that fill": b"\xff\xff",
    "a marker of no length": b"\xff\x01\xff\xd0",
}


@pytest.mark.parametrize("between", BETWEEN)
def test_a_jpeg_of_endless_scans_is_refused(tmp_path: Path, between: str) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(200, BETWEEN[between], progressive=True))
    with pytest.raises(ValueError, match=r"a\.jpg cannot .* it has more than 100 scans"):
        read_image(tmp_path / "a.jpg", 1)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("hidden", ["behind", "within"])
def test_what_only_looks_like_scans_is_passed_over(tmp_path: Path, hidden: str, progressive: bool) -> None:
    """Films behind a photograph, and what programs leave within."""
    film = b"\xff\xda\0" * 2000
    stored = jpeg(0, more=film if hidden == "behind" else b"", progressive=progressive)
    if hidden == "within":
        stored = stored[:2] + part(0xFE, film) + stored[2:]
    (tmp_path / "a.jpg").write_bytes(stored)
    assert (read_image(tmp_path / "a.jpg", 1) == -1).all()


# Comments of PPMs


@pytest.mark.parametrize("kind", [b"P1 9 9\n", b"P2 9 9 255\n", b"P3 9 9 255\n"])
def test_comments_without_an_end_among_numbers_are_refused(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "a.ppm").write_bytes(kind + b"#\n" * 100_000 + b"1 " * 243)
    with (
        frugal(),
        pytest.raises(ValueError, match=r"a\.ppm cannot .* it has 100000 comments, more than 1000"),
    ):
        read_image(tmp_path / "a.ppm", 1)


@pytest.mark.parametrize("kind", [b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf"])
@each_way
def test_a_header_without_an_end_is_refused(tmp_path: Path, kind: bytes, way: Callable) -> None:
    (tmp_path / "a.ppm").write_bytes(kind + b"\n9 " + b"#\n" * 40_000 + b"9 1\n" + b"1 " * 1000)
    with pytest.raises(ValueError, match=r"a\.ppm cannot .* header cannot be read, of 65536 bytes at most"):
        way(tmp_path / "a.ppm")


def test_some_comments_are_read(tmp_path: Path) -> None:
    comments = b"# by a program\n" * 100
    (tmp_path / "a.ppm").write_bytes(b"P2\n" + comments + b"2 1 255\n" + comments + b"0 255\n")
    assert read_image(tmp_path / "a.ppm", 1).tolist() == [[[-1, 1]]]
