"""Which shape the images have, and whether they were or can be measured so."""

from collections.abc import Sequence

import torch

from lightning_inv.constraints import Measurement
from lightning_inv.data import Shapes
from lightning_inv.denoisers import Denoiser, SizedDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Images


def check_sources(measurement: Measurement | None, shapes: Shapes) -> None:
    """Raises ValueError unless the data hold what is measured, or what was measured and how.

    Args:
        measurement: How images are, or were, measured.
        shapes: The shapes of what the data hold of an image.
    """
    if measurement is None and "measurement" in shapes:
        raise ValueError("the data are measurements, but model.measurement does not say how they were made.")
    if measurement is not None and not shapes:
        raise ValueError("there is nothing to measure: the data have neither images nor measurements.")


def image_shape(
    prior: Denoiser, measurement: Measurement | None, shapes: Shapes
) -> tuple[int, int | None, int | None]:
    """The shape ``(C, H, W)`` of the images sought.

    It is that of the true images, or of the prior. With a prior of any size, and no true images, it is what
    the operator makes of the shape of a measurement.

    Raises:
        ValueError: The prior is not one of the true images, or nothing tells their size.
    """
    if (image := shapes.get("image")) is not None:
        if not prior.fits(image):
            known = f"{prior.shape[0]} channels" if prior.any_size else tuple(prior.shape)
            raise ValueError(f"the images have shape {image} (C, H, W), but the prior is for {known}.")
        return image
    if not prior.any_size:
        return prior.shape
    size = None
    if measurement is not None and "measurement" in shapes:
        size = measurement.operator.image_size(shapes["measurement"])
    if size is None:
        raise ValueError(
            "the prior is one of images of any size, and the data do not tell one: give model.size, [H, W]."
        )
    return prior.shape[0], *size


def of_shape(prior: Denoiser, shape: Sequence[int]) -> Denoiser:
    """The prior of images of this shape."""
    return SizedDenoiser(prior, shape) if prior.any_size else prior


def check_measurement(
    measurement: Measurement | None, shape: tuple[int, int, int], shapes: Shapes, names: Sequence[str]
) -> None:
    """Raises ValueError unless images can be, or were, measured so.

    Args:
        measurement: How images are measured.
        shape: The shape ``(C, H, W)`` of the images.
        shapes: The shapes of what the data hold of each.
        names: The name of each.
    """
    if measurement is not None:
        measurement.check(shape, names)
        if "measurement" in shapes:
            _check_measured(measurement, shape, shapes["measurement"], names)


def _check_measured(
    measurement: Measurement, shape: tuple[int, int, int], measured: tuple[int, ...], names: Sequence[str]
) -> None:
    """Raises ValueError unless images of ``shape`` have measurements of the shape ``measured``."""
    if measurement.random:
        part = measurement.operator if measurement.operator.random else measurement.noise
        raise ValueError(
            f"{type(part).__name__} would be drawn at random, but the images were "
            "measured already: give it as it was, such as a mask by MaskFile or MaskFolder."
        )
    first = Images(shape, names[:1], NoiseStream.of(0, [0], "operator"))
    operator = measurement.prepare(first).operator  # on the CPU, where buffers are in setup
    expected = tuple(operator(torch.zeros(1, *shape))[0].shape)
    if measured != expected:
        raise ValueError(
            f"the measurements have shape {measured}, but the operator makes {expected} of images of shape "
            f"{shape}."
        )
