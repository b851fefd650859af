"""The measures of a batch."""

import math
from typing import Any

import torch
from torch import Tensor

from lightning_inv.metrics import psnr, ssim
from lightning_inv.modules import Restored, Solution
from lightning_inv.posterior_metrics import coverage, crps, energy_score, skill, spread

COSTS = ("evaluations", "seconds", "forward_calls", "backward_calls", "peak_memory")
"""What a solution took, alike for all images of its batch."""


QUALITY = {
    "spread": lambda samples, truth: spread(samples),
    "skill": skill,
    "coverage": coverage,
    "crps": crps,
    "energy_score": energy_score,
}
"""How well several samples describe the posterior."""


def finite(values: Tensor) -> list[float | None]:
    """The numbers; None for one that is infinite, as of a perfect image, or no number."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def score(restored: Restored, solution: Solution) -> dict[str, list]:
    """Measures of one solver, a list over images each; None where the truth or the measurement is not known.

    ``psnr`` and ``ssim`` are means over samples of the measure of one sample; those ``_of_mean`` are of the
    mean of the samples. ``consistency`` is |A x - y|, root mean square, in units of the noise's deviation,
    or in units of x if there is no noise. ``evaluations``, the sum of ``forward_calls`` and
    ``backward_calls``, are for one sample, ``seconds`` for all; ``peak_memory`` is that of the batch, in MiB.
    With several samples there are the measures of ``QUALITY`` besides. An image without a result has no
    measures but these costs, and ``failed`` says why.
    """
    samples, truth, measurement = solution.samples, restored.truth, restored.measurement
    B = len(restored.names)
    mean, nothing = samples.mean(0), [None] * B

    def average(measure: Any) -> list[float | None]:
        return finite(torch.stack([measure(sample) for sample in samples]).cpu().double().mean(0))

    known, seen = truth is not None, restored.y is not None
    quality = QUALITY if len(samples) > 1 else {}
    measures = {
        "psnr": average(lambda x: psnr(x, truth)) if known else nothing,
        "psnr_of_mean": finite(psnr(mean, truth)) if known else nothing,
        "ssim": average(lambda x: ssim(x, truth)) if known else nothing,
        "ssim_of_mean": finite(ssim(mean, truth)) if known else nothing,
        "consistency": average(lambda x: measurement.consistency(x, restored.y)) if seen else nothing,
        **{key: finite(f(samples, truth)) if known else nothing for key, f in quality.items()},
    }
    return {
        **{key: _of_results(values, solution.failed) for key, values in measures.items()},
        **{key: [getattr(solution, key)] * B for key in COSTS},
        "failed": solution.failed,
    }


def _of_results(values: list[float | None], failed: list[str | None]) -> list[float | None]:
    """The values of images that have a result."""
    return [value if reason is None else None for value, reason in zip(values, failed, strict=True)]
