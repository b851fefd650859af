"""TIFFs of which Pillow gives less than there is, decoded by tifffile.

Of several images the first is read, be they pages, depths or times. Pages are channels where the file says
so, and where it says no more than the shape of an array, such as (5, H, W), as tifffile writes it.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import UnidentifiedImageError
from tifffile import PHOTOMETRIC, TiffFile, TiffPageSeries

from lightning_inv.data.contents import FileContents, readable
from lightning_inv.data.tiff_pages import check_pages, check_planes, check_segments
from lightning_inv.data.tiff_segments import check_inflated, check_tiles
from lightning_inv.data.values import ORIENTATION, SIDEWAYS, Numbers, channels_first
from lightning_inv.opening import check_pixels, open_picture


def pillow_suffices(path: Path | FileContents) -> bool:
    """Whether Pillow gives every channel and every bit of the first image of a TIFF."""
    try:
        with open_picture(readable(path), header=True) as file:
            if file.format != "TIFF":
                return True
            tags = file.tag_v2
            bits, samples = tags.get(258, (1,)), tags.get(277, 1)
            deep = max(bits) > 8 and file.mode not in ("I;16", "I;16B", "F")
            sideways = tags.get(ORIENTATION, 1) in SIDEWAYS  # grey ones come out garbled
            white_is_0 = max(bits) > 8 and tags.get(262) == PHOTOMETRIC.MINISWHITE
            return (
                samples == len(file.getbands())
                and not (deep or sideways or white_is_0 or file.mode == "La")
                and (tags.next == 0 or _is_one_page(path))
            )
    except UnidentifiedImageError:  # Pillow does not know its numbers or its colours
        return False


@contextmanager
def open_tiff(path: Path | FileContents) -> Iterator[TiffPageSeries]:
    """The first image of a TIFF with all that belongs to it; no number in the file is believed unchecked.

    Raises:
        ValueError: It has too many pages, tells of too many, or its first image is too large.
    """
    check_pages(path)
    with TiffFile(readable(path), _multifile=False) as file:  # it would open others that a file names
        check_planes(file.ome_metadata, file.pages.first.size)
        series = file.series[0]
        count, height, width = channels_first(header(series), None).shape
        check_pixels(height, width, count)
        check_segments(math.prod(series.keyframe.chunked), len(series.keyframe.dataoffsets))
        check_tiles(series.keyframe)
        yield series


def _is_one_page(path: Path | FileContents) -> bool:
    """Whether the first image is the first page and no other."""
    with open_tiff(path) as series:
        page = series.pages[0]
        return page.index == 0 and page.shape == header(series).values.shape


def read_tiff(path: Path | FileContents) -> Numbers:
    """The first image of a TIFF, whatever its numbers and channels."""
    with open_tiff(path) as series:
        found = header(series)._replace(values=_decoded(series))
        light = series.keyframe.photometric
    if light not in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.RGB):
        raise ValueError(f"its colours are of a kind that is not supported (photometric {int(light)})")
    if light == PHOTOMETRIC.MINISWHITE and found.values.dtype.kind == "u":
        colours = (*[slice(None)] * (found.axis or 0), slice(-1 if found.alpha else None))
        found.values[colours] = np.invert(found.values[colours])
    return found


def header(series: TiffPageSeries) -> Numbers:
    """What a TIFF tells of its first image, with 0 in place of its values."""
    page, place = series.keyframe, _place(series)
    names = [name for name, index in zip(series.axes, place, strict=True) if index != 0]
    axes = [names.index(name) for name in "SC" if name in names]
    last = page.extrasamples[-1].name if page.extrasamples else ""
    tag = page.tags.get(int(ORIENTATION))
    values = np.broadcast_to(np.uint8(0), series.shape)[place]
    turned = tag.value if tag else 1
    alpha = "ALPHA" in last and bool(axes)
    return Numbers(values, axes[0] if axes else None, alpha, turned, alpha and last == "ASSOCALPHA")


def _decoded(series: TiffPageSeries) -> np.ndarray:
    """The values of the first image; of many pages, only those that it has a part in.

    Strips that are missing are 0: where tifffile makes the array, they are what was in memory.
    """
    page, place = series.pages[0], _place(series)
    alone = 0 in place and page.shape == header(series).values.shape
    part = page if alone else series
    for stored in [page] if alone else series:
        if stored is not None:
            check_inflated(stored)
    values = part.asarray(out=np.zeros(part.shape, part.dtype))
    return values if alone else values[place]


def _place(series: TiffPageSeries) -> tuple[int | slice, ...]:
    """Where the first image is: all of its axes (Q is one of no known meaning), and 0 of all others."""
    channels = "SC" if any(name in series.axes for name in "SC") else "Q"
    return tuple(slice(None) if name in f"YX{channels}" else 0 for name in series.axes)
