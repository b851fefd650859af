"""What a TIFF tells of its pages, checked before a library believes it.

Each page tells where the next one is, so that they may be in a circle; descriptions in XML (OME) tell of
pages that need not be there, for each of which memory would be taken.
"""

import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from lightning_inv.data.contents import FileContents, opened

PAGES = 2**16
"""The pages of a TIFF, at most."""
MISSING = 10_000
"""The strips or tiles, at most, that may be missing; some programs tell of more than they write."""


def check_pages(path: Path | FileContents) -> None:
    """Raises ValueError if the pages of a TIFF are too many or in a circle."""
    seen: set[int] = set()
    with opened(path) as file:
        for place in _pages(file):
            if place in seen:
                raise ValueError("its pages are in a circle")
            seen.add(place)
            if len(seen) > PAGES:
                raise ValueError(f"it has more than {PAGES} pages")


def _pages(file: BinaryIO) -> Iterator[int]:
    """Where each page begins; there the number of its tags is told, and after them where the next one is."""
    start = file.read(16)
    order = "<" if start[:2] == b"II" else ">"
    big = struct.unpack(f"{order}H", start[2:4].ljust(2, b"\0"))[0] == 43
    count, tag, place = (f"{order}Q", 20, f"{order}Q") if big else (f"{order}H", 12, f"{order}I")

    def number(form: str) -> int:
        length = struct.calcsize(form)
        return struct.unpack(form, file.read(length).ljust(length, b"\0"))[0]

    size = file.seek(0, os.SEEK_END)
    file.seek(8 if big else 4)
    while 0 < (here := number(place)) < size:
        yield here
        file.seek(here)
        file.seek(min(here + struct.calcsize(count) + tag * number(count), size))


def check_segments(told: int, found: int) -> None:
    """Raises ValueError if an image has many more strips or tiles than a TIFF says the places of."""
    if told > found + MISSING:  # each is looked for
        raise ValueError(f"it tells of {told} strips or tiles, but has {found}")


def check_planes(xml: str | None, size: int) -> None:
    """Raises ValueError if a description in XML tells of more planes than a TIFF may have pages.

    Args:
        xml: The description, if there is one.
        size: The numbers in a page.
    """
    try:
        root = ElementTree.fromstring(xml or "<none/>")
    except ElementTree.ParseError:
        return  # the library passes over it
    for told in (element.attrib for element in root.iter()):
        planes = math.prod(int(told.get(f"Size{axis}", 1)) for axis in "XYZCT") / max(1, size)
        steps = float(told.get("End", 0)) - float(told.get("Start", 0))
        counts = [int(told.get(name, 0)) for name in ("IFD", "NumPlanes", "PlaneCount", "SamplesPerPixel")]
        numbers = (planes, abs(steps / float(told.get("Step", 1))), *counts)
        if not all(number <= PAGES for number in numbers):  # what is no number fails, too
            raise ValueError(f"its description tells of more than {PAGES} planes")
