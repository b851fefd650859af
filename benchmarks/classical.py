"""Classical restoration of grey images by scikit-image: what a learned prior has to beat.

A method is a chain of stages, each one function of scikit-image. Within a chain images are in [0, 1], as
scikit-image expects, so the noise is half of that in [-1, 1]; ``measure`` and ``restore`` speak of [-1, 1] as
the package does. A measurement moves along: as A is linear, (y + A(1)) / 2 is what A makes of (x + 1) / 2.
All settings, and the best method of a task, are chosen on images that are not those of the comparison.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from skimage import restoration
from skimage.transform import resize
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.metrics import psnr, ssim
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import BlockAverage, Images, Inpainting, Operator, SeparableBlur

Image = npt.NDArray[np.float64]
Setting = dict[str, Any]


class Facts(NamedTuple):
    """What is known of how an image was measured."""

    seen: npt.NDArray[np.bool_] | None = None
    """Whether a pixel is seen, shape ``(H, W)``."""
    factor: int = 1
    """How many times smaller a side became."""
    psf: Image | None = None
    """The blur left in the image, or in one enlarged to full size; odd sides, sum 1."""


def facts_of(operator: Operator, count: int) -> list[Facts]:
    """The facts of each of ``count`` images measured by a prepared operator."""
    if isinstance(operator, Inpainting):
        return [Facts(seen=mask[0].numpy() > 0) for mask in operator.s.expand(count, -1, -1, -1)]
    if isinstance(operator, BlockAverage):
        taps = np.convolve(np.ones(operator.factor), np.ones(2 - operator.factor % 2))  # odd, so centred
        return [Facts(factor=operator.factor, psf=np.outer(taps, taps) / taps.sum() ** 2)] * count
    if isinstance(operator, SeparableBlur):
        return [Facts(psf=np.outer(operator.kernel.taps(), operator.horizontal.taps()))] * count
    return [Facts()] * count


def inpaint_biharmonic(image: Image, facts: Facts, sigma: float) -> Image:
    """Fills hidden pixels and leaves the others as they are, noise and all."""
    return restoration.inpaint_biharmonic(image, ~facts.seen)


def enlarge_bicubic(image: Image, facts: Facts, sigma: float) -> Image:
    """Enlarges by cubic splines on pixel areas; beyond the border lies black, as it does around garments."""
    shape = tuple(facts.factor * side for side in image.shape)
    return resize(image, shape, order=3, mode="constant", clip=False, anti_aliasing=False)


def deblur_wiener(image: Image, facts: Facts, sigma: float, balance: float) -> Image:
    """Wiener-Hunt deconvolution with the Laplacian; black is added around since it is periodic."""
    pad = max(facts.psf.shape)
    return restoration.wiener(np.pad(image, pad), facts.psf, balance, clip=False)[pad:-pad, pad:-pad]


def deblur_richardson_lucy(image: Image, facts: Facts, sigma: float, iterations: int) -> Image:
    """Richardson-Lucy deconvolution; like A it takes what lies outside for black, and it needs y > 0."""
    return restoration.richardson_lucy(np.clip(image, 1e-3, 1.0), facts.psf, iterations, clip=False)


def denoise_tv(image: Image, facts: Facts, sigma: float, weight: float) -> Image:
    """Total variation, by Chambolle's algorithm."""
    return restoration.denoise_tv_chambolle(image, weight)


def denoise_nlm(image: Image, facts: Facts, sigma: float, h: float, patch: int, share: float) -> Image:
    """Non-local means; distances are freed of the variance of noise of ``share`` times sigma."""
    return restoration.denoise_nl_means(image, patch, 7, h, fast_mode=False, sigma=share * sigma)


@dataclass(frozen=True)
class Stage:
    """One function ``(image, facts, sigma, **setting)`` with the settings to choose from.

    Args:
        name: How the page calls it.
        function: The function.
        grid: The values tried of each setting.
    """

    name: str
    function: Callable[..., Image]
    grid: dict[str, Sequence[Any]]


Method = tuple[Stage, ...]

BIHARMONIC = Stage("biharmonic", inpaint_biharmonic, {})
BICUBIC = Stage("bicubic", enlarge_bicubic, {})
WIENER = Stage("Wiener", deblur_wiener, {"balance": (0.001, 0.003, 0.006, 0.01, 0.02, 0.04, 0.1)})
LUCY = Stage("Richardson-Lucy", deblur_richardson_lucy, {"iterations": (3, 5, 7, 10, 15, 20, 30, 50)})
TV = Stage("TV", denoise_tv, {"weight": (0.005, 0.01, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08, 0.12)})
NLM = Stage(
    "NLM",
    denoise_nlm,
    {"h": (0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28), "patch": (3, 5), "share": (0.0, 1.0)},
)

INPAINTING: tuple[Method, ...] = (
    (BIHARMONIC,),
    (BIHARMONIC, TV),
    (BIHARMONIC, NLM),
    (BIHARMONIC, TV, BIHARMONIC),
    (BIHARMONIC, NLM, BIHARMONIC),
)
METHODS: dict[str, tuple[Method, ...]] = {
    "inpainting": INPAINTING,
    "box_inpainting": INPAINTING,
    "super_resolution": (
        (BICUBIC,),
        (BICUBIC, TV),
        (BICUBIC, NLM),
        (BICUBIC, LUCY, TV),
        (BICUBIC, LUCY, NLM),
    ),
    "deblurring": (
        (WIENER,),
        (LUCY,),
        (WIENER, TV),
        (WIENER, NLM),
        (TV, LUCY),
    ),
    "denoising": ((TV,), (NLM,), (NLM, TV)),
}
"""The methods of each task."""


def name_of(method: Method) -> str:
    """The names of its stages, in order."""
    return ", ".join(stage.name for stage in method)


class Measured(NamedTuple):
    """Images and what was seen of them."""

    truth: Tensor
    """Shape ``(B, 1, H, W)``, in [-1, 1]."""
    y: Tensor
    """Shape ``(B, ...)``, in units of an image in [-1, 1]."""
    measurement: Measurement


def measure(measurement: Measurement, items: Iterable[dict[str, Any]], seed: int) -> Measured:
    """Measures images exactly as infer.py does with this seed.

    Args:
        measurement: The measurement, not prepared.
        items: The images, items of a data set.
        seed: The seed.
    """
    items = list(items)
    indices, names = [item["index"] for item in items], [item["name"] for item in items]
    truth = torch.stack([item["image"] for item in items])
    rng = NoiseStream.of(seed, indices, "operator")
    ready = measurement.prepare(Images(tuple(truth.shape[1:]), names, rng))
    y = ready.observe(truth, NoiseStream.of(seed, indices, "measurement"))
    return Measured(truth, y, ready)


def restore(method: Method, settings: Sequence[Setting], measured: Measured) -> Tensor:
    """Restores images by a method, shape ``(B, 1, H, W)``, in [-1, 1] but for what overshoots.

    Args:
        method: The method.
        settings: The setting of each of its stages.
        measured: The images; the truth is not looked at.
    """
    fixed = tuple(
        replace(stage, grid={key: (value,) for key, value in setting.items()})
        for stage, setting in zip(method, settings, strict=True)
    )
    ((_, restored),) = trials(fixed, *_in_unit_range(measured))
    return _as_tensor(restored)


def tune(method: Method, measured: Measured) -> tuple[float, list[Setting]]:
    """The best mean PSNR in dB on these images and the setting of each stage that reaches it."""
    scored = (
        (psnr(_as_tensor(restored), measured.truth).mean().item(), settings)
        for settings, restored in trials(method, *_in_unit_range(measured))
    )
    return max(scored, key=lambda score: score[0])


def score(x: Tensor, measured: Measured) -> dict[str, list[float]]:
    """The measures of restored images, shape ``(B, 1, H, W)``, a number an image, named as by infer.py."""
    consistency = measured.measurement.consistency(x, measured.y)
    measures = {"psnr": psnr(x, measured.truth), "ssim": ssim(x, measured.truth), "consistency": consistency}
    return {name: values.tolist() for name, values in measures.items()}


def trials(
    method: Method, images: list[Image], facts: list[Facts], sigma: float
) -> Iterator[tuple[list[Setting], list[Image]]]:
    """Yields every combination of settings with what it makes of the images; stages shared are run once.

    Args:
        method: The method.
        images: The measurements, then what the stages before made of them, in [0, 1].
        facts: How each was measured.
        sigma: The standard deviation of the noise in units of an image in [0, 1].
    """
    if not method:
        yield [], images
        return
    stage, rest = method[0], method[1:]
    for values in product(*stage.grid.values()):
        setting = dict(zip(stage.grid, values, strict=True))
        done = [stage.function(x, fact, sigma, **setting) for x, fact in zip(images, facts, strict=True)]
        for settings, restored in trials(rest, done, facts, sigma):
            yield [setting, *settings], restored


def _in_unit_range(measured: Measured) -> tuple[list[Image], list[Facts], float]:
    """The measurements, the facts and the noise as stages want them."""
    operator = measured.measurement.operator
    y = (measured.y + operator(torch.ones_like(measured.truth))) / 2
    return list(y[:, 0].double().numpy()), facts_of(operator, len(y)), measured.measurement.sigma / 2


def _as_tensor(images: list[Image]) -> Tensor:
    return torch.from_numpy(np.stack(images))[:, None].float() * 2 - 1
