"""Files of weights and arrays that lie about what they hold, or have no end: refused, and not read."""

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import within
from test_priors import forged

from lightning_inv.arrays import read_array
from lightning_inv.files import read_weights
from lightning_inv.priors import load_prior, read_provenance

pytestmark = pytest.mark.faults


def raw(path: Path, header: bytes, data: bytes = b"") -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def tensor(dtype: str = '"F32"', shape: str = "[1]", offsets: str = "[0,4]", name: str = "a") -> bytes:
    return f'{{"{name}":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}}}'.encode()


HEADERS = {
    "a shape that overflows": tensor(shape=f"[{2**33},{2**33}]"),
    "a shape without numbers that overflows": tensor(shape=f"[{2**63},0]", offsets="[0,0]"),
    "a negative shape": tensor(shape="[-1]"),
    "offsets outside": tensor(shape="[100]", offsets="[0,400]"),
    "offsets that go back": tensor(offsets="[4,0]"),
    "offsets that leave a gap": tensor(offsets="[2,6]"),
    "tensors that overlap": tensor()[:-1] + b"," + tensor(name="b")[1:],
    "a name twice": tensor()[:-1] + b"," + tensor(shape="[0]", offsets="[4,4]")[1:],
    "a type that is no text": tensor(dtype="NaN"),
    "a type that there is not": tensor(dtype='"NAN"'),
    "lists in lists": tensor(shape="[" * 100_000 + "]" * 100_000),
    "entries in entries": b'{"__metadata__":' + b'{"a":' * 100_000 + b"}" * 100_001,
    "an entry that is no text": b'{"__metadata__":{"a":1}}',
    "bytes that are no text": b'{"\xff":1}',
    "half a character": tensor(name="\\ud800"),
    "a list": b"[]",
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path, what: str) -> None:
    path = raw(tmp_path / "a.safetensors", HEADERS[what], b"0000")
    with within(5), pytest.raises(ValueError, match=r"a\.safetensors (is truncated or not|does not|is not)"):
        load_prior(path)


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**21 + 1])
def test_a_header_that_is_too_long_is_refused_unread(tmp_path: Path, length: int) -> None:
    with (tmp_path / "a.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", length))
        file.truncate(10**8)
    with (
        within(5),
        pytest.raises(ValueError, match=rf"a\.safetensors .* would have {length} bytes, more than"),
    ):
        load_prior(tmp_path / "a.safetensors")


@pytest.mark.parametrize("provenance", ["[" * 10**6, "[]", "3", '"text"'])
def test_provenance_that_makes_no_sense_is_refused(tmp_path: Path, provenance: str) -> None:
    path = forged(tmp_path / "a.safetensors", {"provenance": provenance})
    with pytest.raises(ValueError, match=r"a\.safetensors holds damaged provenance"):
        read_provenance(path)


@pytest.mark.parametrize("field", ["format", "denoiser"])
def test_a_long_entry_of_a_header_makes_no_long_message(tmp_path: Path, field: str) -> None:
    path = forged(tmp_path / "a.safetensors", {field: "x" * 10**6})
    with pytest.raises(ValueError, match=r"a\.safetensors") as caught:
        load_prior(path)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["../../x", "__class__", "network.__dict__", "network.enter.__dict__", ""])
def test_weights_of_a_strange_name_are_refused(tmp_path: Path, name: str) -> None:
    path = forged(tmp_path / "a.safetensors", weights={name: torch.zeros(1)})
    with pytest.raises(ValueError, match=r"a\.safetensors does not describe .*(Missing|Unexpected) key"):
        load_prior(path)
    assert list(tmp_path.iterdir()) == [path]


# Files that have no end, or none within the memory


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, device])
def test_what_is_no_file_is_no_prior(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "a.safetensors")
    with within(5), pytest.raises(FileNotFoundError, match=r"no prior at .*a\.safetensors"):
        load_prior(tmp_path / "a.safetensors")


@pytest.mark.parametrize("make", [pipe, device])
def test_what_is_no_file_is_no_array(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "a.npy")
    with within(5), pytest.raises(ValueError, match=r"a\.npy cannot be read: it is no regular file\."):
        read_array(tmp_path / "a.npy")


MANY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def test_weights_larger_than_the_memory_are_refused_unread(tmp_path: Path) -> None:
    header = tensor(shape=f"[{MANY}]", offsets=f"[0,{4 * MANY}]")
    with raw(tmp_path / "a.safetensors", header).open("ab") as file:
        file.truncate(8 + len(header) + 4 * MANY)
    with (
        within(5),
        pytest.raises(ValueError, match=r"a\.safetensors holds \d+ bytes, more than the \d+ of the"),
    ):
        read_weights(tmp_path / "a.safetensors")


def test_an_array_larger_than_images_may_be_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (MANY,)})
        file.truncate(file.tell() + MANY)
    with (
        within(5),
        pytest.raises(ValueError, match=r"a\.npy cannot be read: .* more than the \d+ that are allowed"),
    ):
        read_array(tmp_path / "a.npy")


def test_an_array_that_is_shorter_than_it_says_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
        np.lib.format.write_array_header_1_0(file, header)
    with within(5), pytest.raises(ValueError, match=r"a\.npy cannot be read"):
        read_array(tmp_path / "a.npy")
