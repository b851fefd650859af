"""TIFFs and arrays that are hostile: refused from what they tell of themselves, without memory for it."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import hostile
import numpy as np
import pytest
import tifffile
from hostile import WAYS, each_way, frugal
from PIL import Image

from lightning_inv.arrays import read_array
from lightning_inv.data.decoding import image_shape
from lightning_inv.data.image_files import FolderDataset, image_size, read_image
from lightning_inv.opening import VARIABLE

pytestmark = pytest.mark.faults


# TIFF


@pytest.mark.parametrize(
    ("contents", "why"),
    [
        (hostile.pages(150, last=20), "its pages are in a circle"),
        (hostile.pages(3, last=1), "its pages are in a circle"),
        (hostile.pages(1001), "it has more than 1000 pages"),
    ],
    ids=["late circle", "circle", "many"],
)
@each_way
def test_a_tiff_whose_pages_have_no_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: bytes, why: str, way: Callable
) -> None:
    monkeypatch.setattr("lightning_inv.data.tiff_pages.PAGES", 1000)
    (tmp_path / "a.tif").write_bytes(contents)
    with frugal(), pytest.raises(ValueError, match=rf"a\.tif cannot be read as an image: {why}"):
        way(tmp_path / "a.tif")


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_are_counted_in_each_kind_of_tiff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str, big: bool
) -> None:
    monkeypatch.setattr("lightning_inv.data.tiff_pages.PAGES", 4)
    for count in (4, 5):
        pages = np.zeros((count, 8, 8), np.uint8)
        settings = {"photometric": "minisblack", "metadata": None, "bigtiff": big, "byteorder": order}
        tifffile.imwrite(tmp_path / f"{count}.tif", pages, **settings)
    assert read_image(tmp_path / "4.tif", 1).shape == (1, 8, 8)
    with pytest.raises(ValueError, match="it has more than 4 pages"):
        read_image(tmp_path / "5.tif", 1)


MODULO = (
    '<StructuredAnnotations><XMLAnnotation ID="A" Namespace="its/modulo"><Value><Modulo>'
    '<ModuloAlongZ Type="other" Start="0" {}/></Modulo></Value></XMLAnnotation></StructuredAnnotations>'
)


@pytest.mark.parametrize(
    "xml",
    [
        hostile.ome('SizeZ="1000000" SizeT="1000000"'),
        hostile.ome('SizeX="1000000" SizeY="1000000"'),
        hostile.ome(data='PlaneCount="4000000000"'),
        hostile.ome(data='PlaneCount="&#52;000000000"'),
        hostile.ome(data='NumPlanes="4000000000"'),
        hostile.ome(more=MODULO.format('End="1e12"')),
        hostile.ome(more=MODULO.format('End="1" Step="1e-12"')),
        hostile.ome(more=MODULO.format('End="nan"')),
    ],
)
def test_planes_that_are_only_told_of_are_refused(tmp_path: Path, xml: str) -> None:
    path = hostile.described(tmp_path / "a.tif", xml)
    for look_at in WAYS.values():
        with pytest.raises(ValueError, match=r"a\.tif .* its description tells of more than 65536 planes"):
            look_at(path)


def test_a_description_that_is_true_is_believed(tmp_path: Path) -> None:
    assert image_shape(hostile.described(tmp_path / "a.tif", hostile.ome())) == (1, 8, 8)


@pytest.mark.parametrize(
    "told",
    [
        '{"shape": [1000000, 1000000, 4, 4]}',
        '{"shape": [1000000, 1000000]}',
        '{"shape": [1000000000000, 4, 4], "axes": "ZYX"}',
        "ImageJ=1.0\nimages=1000000000000\nslices=1000000000000\nhyperstack=true\n",
    ],
)
@each_way
def test_an_array_that_is_only_told_of_takes_no_memory(tmp_path: Path, told: str, way: Callable) -> None:
    path = hostile.described(tmp_path / "a.tif", told)
    with frugal(), suppress(ValueError):
        way(path)


def test_a_tiff_opens_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.tif")  # whoever opens it waits for ever
    xml = hostile.ome('SizeZ="2"', 'FirstZ="1"')
    named = '"><UUID FileName="pipe.tif">urn:other</UUID></TiffData>'
    path = hostile.described(tmp_path / "a.tif", xml.replace('"/></Pixels>', f"{named}</Pixels>"))
    assert "pipe.tif" in path.read_bytes().decode("latin1")
    assert image_shape(path) == (1, 8, 8)


# Arrays


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ("(4, 4)", r"its header tells of 128 bytes .* but 0 follow"),
        ("(1000000, 1000000)", r"its header tells of 8000000000000 bytes .* but 0 follow"),
        ("(-4, -4)", r"\(-4, -4\)"),
        ("(0, 1000000000000)", r"zero-size"),
        ("()", r"shape \(\), not \(H, W\)"),
        ("'four'", r"shape is not valid"),
    ],
)
def test_an_array_that_is_not_what_its_header_says_is_refused(tmp_path: Path, shape: str, why: str) -> None:
    told = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header = b"\x93NUMPY\1\0" + len(told).to_bytes(2, "little") + told
    (tmp_path / "a.npy").write_bytes(header + bytes(8) * (shape == "()"))
    with pytest.raises(ValueError, match=rf"a\.npy cannot be read as an image: .*{why}"):
        read_image(tmp_path / "a.npy", 1)


@pytest.mark.parametrize("version", [b"\2\0", b"\3\0"])
def test_a_header_that_claims_four_gigabytes_is_not_read(tmp_path: Path, version: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY" + version + b"\xf0\xff\xff\xff")
    os.truncate(tmp_path / "a.npy", 2**33)  # sparse
    with pytest.raises(ValueError, match=r"a\.npy .* its header is longer than 10000 bytes"):
        image_size(tmp_path / "a.npy")


@pytest.mark.parametrize("kind", ["U3", "M8[s]", "complex64", "V8"])
def test_an_array_of_no_numbers_is_refused_in_a_range_too(tmp_path: Path, kind: str) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 4), kind))
    with pytest.raises(ValueError, match=r"a\.npy cannot be read as an image: it holds .*, not real numbers"):
        read_image(tmp_path / "a.npy", 1, value_range=(0, 1))


def test_several_arrays_in_one_file_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.zeros((4, 4)))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"a\.npy cannot be read as an image: .*magic string"):
        read_image(tmp_path / "a.npy", 1)


def test_the_matrix_of_an_operator_has_the_limit_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "15")
    np.save(tmp_path / "a.npy", np.zeros((4, 4)))
    with pytest.raises(
        ValueError, match=r"the array .*a\.npy cannot be read: .* 16 pixels, more than the 15"
    ):
        read_array(tmp_path / "a.npy")


def test_a_pipe_is_no_array(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"the array .*a\.npy cannot be read: it is no regular file"):
        read_array(tmp_path / "a.npy")


@pytest.mark.parametrize("kind", ["complex128", "S8", "M8[s]", "U3", "S16000000"])
def test_a_matrix_of_no_real_numbers_is_refused_by_their_type(tmp_path: Path, kind: str) -> None:
    told = f"{{'descr': {np.dtype(kind).str!r}, 'fortran_order': False, 'shape': (4, 4), }}".encode()
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\1\0" + len(told).to_bytes(2, "little") + told)
    os.truncate(tmp_path / "a.npy", (tmp_path / "a.npy").stat().st_size + 16 * np.dtype(kind).itemsize)
    why = re.escape(f"it holds {np.dtype(kind)}, not real numbers")
    with frugal(), pytest.raises(ValueError, match=rf"the array .*a\.npy cannot be read: {why}"):
        read_array(tmp_path / "a.npy")


# Files that are much longer than what is in them


def tail(path: Path, size: int = 5 * 10**9) -> None:
    os.truncate(path, size)  # sparse


@pytest.mark.parametrize("name", ["a.png", "a.npy", "a.ppm", "a.jpg"])
def test_a_file_that_is_longer_than_any_image_is_not_even_hashed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".npy":
        np.save(path, np.zeros((8, 8), np.uint8))
    else:
        Image.new("L", (8, 8)).save(path)
    tail(path)
    with frugal(), pytest.raises(ValueError, match=rf"{name} cannot be read as an image: .*bytes"):
        FolderDataset([path], ["a"], 1, None).fingerprint()
    with frugal(), pytest.raises(ValueError, match=rf"{name} cannot be read as an image: .*bytes"):
        hostile.verified(path)


def test_a_picture_of_few_pixels_and_many_bytes_is_refused(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.jpg")
    tail(tmp_path / "a.jpg", 10**9)
    with frugal(), pytest.raises(ValueError, match="it has 1000000000 bytes, more than 64 pixels take"):
        hostile.verified(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_of_a_long_tiff_no_more_than_the_first_image_is_read(tmp_path: Path, kind: type) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), kind))
    tail(tmp_path / "a.tif")
    with frugal():
        hostile.verified(tmp_path / "a.tif")
        assert read_image(tmp_path / "a.tif", 1).shape == (1, 8, 8)
