"""TIFFs of which Pillow gives less than there is, decoded by tifffile."""

from pathlib import Path

import numpy as np
from PIL import Image
from tifffile import PHOTOMETRIC, TiffFile, TiffPageSeries

from lightning_inv.data.values import ORIENTATION, Numbers


def pillow_suffices(path: Path) -> bool:
    """Whether Pillow gives every channel and every bit of a TIFF."""
    try:
        with Image.open(path) as file:
            if file.format != "TIFF":
                return True
            tags = file.tag_v2
            bits, samples = tags.get(258, (1,)), tags.get(277, 1)
            deep = max(bits) > 8 and file.mode not in ("I;16", "I;16B", "F")
            sideways = tags.get(ORIENTATION, 1) >= 5  # grey ones come out garbled
            white_is_0 = max(bits) > 8 and tags.get(262) == PHOTOMETRIC.MINISWHITE
            return (
                file.n_frames == 1
                and samples == len(file.getbands())
                and not (deep or sideways or white_is_0)
            )
    except Image.UnidentifiedImageError:
        return False


def read_tiff(path: Path) -> Numbers:
    """The first image of a TIFF, whatever its numbers and channels."""
    with TiffFile(path) as file:
        series = file.series[0]
        found = told(series.asarray(), series)
        light = series.keyframe.photometric
    if light not in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.RGB):
        raise ValueError(f"its colours are of a kind that is not supported (photometric {int(light)})")
    inverted = light == PHOTOMETRIC.MINISWHITE and found.values.dtype.kind == "u"
    return found._replace(values=np.invert(found.values)) if inverted else found


def told(values: np.ndarray, series: TiffPageSeries) -> Numbers:
    """Values, with what a TIFF tells of them."""
    page = series.keyframe
    axes = [series.axes.find(name) for name in "SC" if name in series.axes]
    alpha = any("ALPHA" in extra.name for extra in page.extrasamples[-1:])
    tag = page.tags.get(int(ORIENTATION))
    return Numbers(values, axes[0] if axes else None, alpha, tag.value if tag else 1)
