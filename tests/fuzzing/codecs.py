"""Files as trees and back, with lengths and checksums that are right, so that a change goes deep."""

import ast
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

from lightning_inv.callbacks.manifest import CHECKSUM, digest

CHECKSUMS = ("sha256", "crc32")
"""Keys of checksums, which would tell of every change before it is looked at."""


class Codec(NamedTuple):
    """How a kind of file becomes a tree, and a tree a file.

    Args:
        tree: The tree of a valid file.
        contents: The file of a tree; it may raise anything where the tree stands for none.
    """

    tree: Callable[[bytes], Any]
    contents: Callable[[Any], bytes]


def _text(tree: Any) -> bytes:
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _json(contents: bytes) -> Any:
    return _unsigned(json.loads(contents))


def _of_json(tree: Any) -> bytes:
    """A manifest with the checksum that its reader asks for."""
    signed = isinstance(tree, dict)
    return _text(tree | {CHECKSUM: digest(tree)} if signed else tree)


def _unsigned(tree: Any) -> Any:
    """The tree without a checksum, where it may be left out."""
    return {key: value for key, value in tree.items() if key not in CHECKSUMS}


def _lines(contents: bytes) -> list[Any]:
    return [_unsigned(json.loads(line)) for line in contents.splitlines()]


def _of_lines(tree: list[Any]) -> bytes:
    """Records with the checksum that their reader may ask for."""
    found = []
    for record in tree:
        text = _text(record)
        if isinstance(record, dict) and record:
            text = text.removesuffix(b"}")
            text += b', "crc32": "%08x"}' % zlib.crc32(text)
        found.append(text + b"\n")
    return b"".join(found)


def _safetensors(contents: bytes) -> dict[str, Any]:
    (length,) = struct.unpack("<Q", contents[:8])
    header = json.loads(contents[8 : 8 + length])
    header["__metadata__"] = _unsigned(header.get("__metadata__", {}))
    for key, value in header["__metadata__"].items():
        if value[:1] in ("{", "["):
            header["__metadata__"][key] = json.loads(value)
    return {"header": header, "data": contents[8 + length :]}


def _of_safetensors(tree: dict[str, Any]) -> bytes:
    header = dict(tree["header"])
    if isinstance(told := header.get("__metadata__"), dict):
        header["__metadata__"] = {
            key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()
        }
    text = _text(header)
    return struct.pack("<Q", len(text)) + text + tree["data"]


def _npy(contents: bytes) -> dict[str, Any]:
    (length,) = struct.unpack("<H", contents[8:10])
    header = ast.literal_eval(contents[10 : 10 + length].decode())
    return {"header": {**header, "shape": list(header["shape"])}, "data": contents[10 + length :]}


def _of_npy(tree: dict[str, Any]) -> bytes:
    header = dict(tree["header"])
    if isinstance(header.get("shape"), list):
        header["shape"] = tuple(header["shape"])
    text = repr(header).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + tree["data"]


def _png(contents: bytes) -> list[Any]:
    chunks, start = [], 8
    while start < len(contents):
        length, name = struct.unpack(">I4s", contents[start : start + 8])
        data = contents[start + 8 : start + 8 + length]
        chunks.append([name, list(struct.unpack(">IIBBBBB", data)) if name == b"IHDR" else data])
        start += length + 12
    return chunks


def _of_png(tree: list[Any]) -> bytes:
    found = [b"\x89PNG\r\n\x1a\n"]
    for name, value in tree:
        data = struct.pack(">IIBBBBB", *value) if isinstance(value, list) else value
        found.append(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
    return b"".join(found)


def _jpeg(contents: bytes) -> dict[str, Any]:
    segments, start = [], 2
    while contents[start + 1] != 0xDA:
        (length,) = struct.unpack(">H", contents[start + 2 : start + 4])
        segments.append([contents[start + 1], contents[start + 4 : start + 2 + length]])
        start += length + 2
    return {"segments": segments, "scan": contents[start:]}


def _of_jpeg(tree: dict[str, Any]) -> bytes:
    segments = (struct.pack(">BBH", 255, mark, len(data) + 2) + data for mark, data in tree["segments"])
    return b"\xff\xd8" + b"".join(segments) + tree["scan"]


def _tiff(contents: bytes) -> dict[str, Any]:
    order = "<" if contents[:2] == b"II" else ">"
    pages, (start,) = [], struct.unpack(f"{order}I", contents[4:8])
    while start:
        (count,) = struct.unpack(f"{order}H", contents[start : start + 2])
        tags = [contents[start + 2 + 12 * k : start + 14 + 12 * k] for k in range(count)]
        pages.append([list(struct.unpack(f"{order}HHII", tag)) for tag in tags])
        (start,) = struct.unpack(f"{order}I", contents[start + 2 + 12 * count : start + 6 + 12 * count])
    return {"order": order, "pages": pages, "contents": contents}


def _of_tiff(tree: dict[str, Any]) -> bytes:
    """The tags of all pages lie at the end; what they point to stays where it was."""
    order, found = tree["order"], tree["contents"]
    found += b"\0" * (len(found) % 2)
    place = len(found)
    found = found[:4] + struct.pack(f"{order}I", place) + found[8:]
    for k, tags in enumerate(tree["pages"]):
        place += 6 + 12 * len(tags)
        after = place if k + 1 < len(tree["pages"]) else 0
        body = b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags)
        found += struct.pack(f"{order}H", len(tags)) + body + struct.pack(f"{order}I", after)
    return found


def _webp(contents: bytes) -> list[Any]:
    chunks, start = [], 12
    while start < len(contents):
        name, length = struct.unpack("<4sI", contents[start : start + 8])
        chunks.append([name, contents[start + 8 : start + 8 + length]])
        start += 8 + length + length % 2
    return chunks


def _of_webp(tree: list[Any]) -> bytes:
    chunks = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in tree
    )
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _zip(contents: bytes) -> list[Any]:
    with zipfile.ZipFile(io.BytesIO(contents)) as file:
        return [[name, file.read(name)] for name in file.namelist()]


def _of_zip(tree: list[Any]) -> bytes:
    with zipfile.ZipFile(found := io.BytesIO(), "w") as file:
        for name, data in tree:
            file.writestr(zipfile.ZipInfo(name), data)
    return found.getvalue()


def _of_yaml(tree: Any) -> bytes:
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")


CODECS = {
    ".json": Codec(_json, _of_json),
    ".jsonl": Codec(_lines, _of_lines),
    ".safetensors": Codec(_safetensors, _of_safetensors),
    ".npy": Codec(_npy, _of_npy),
    ".png": Codec(_png, _of_png),
    ".jpg": Codec(_jpeg, _of_jpeg),
    ".tif": Codec(_tiff, _of_tiff),
    ".webp": Codec(_webp, _of_webp),
    ".ckpt": Codec(_zip, _of_zip),
    ".yaml": Codec(yaml.safe_load, _of_yaml),
}
"""Of each suffix; other kinds of files have none."""
