"""Paired differences of solvers on the same images."""

import math
from collections.abc import Sequence
from typing import Any

from scipy.stats import t as student

from lightning_inv.callbacks.report import values_of

RANKED = "psnr_of_mean"
"""The measure by which solvers are compared: PSNR of the mean of samples, or of the only one."""


def differences(
    summary: dict[str, Any], records: list[dict[str, Any]], reference: str | None
) -> dict[str, Any]:
    """The paired differences of PSNR of each solver to the reference.

    Args:
        summary: The summary of the problem.
        records: The records of its images.
        reference: The solver to compare with; None for the best.

    Returns:
        ``reference``, and ``differences`` by solver, each of the ``n`` images for which neither has failed;
        it is empty where there is nothing to compare.
    """
    scored = {name: told[RANKED]["mean"] for name, told in summary["solvers"].items() if told.get(RANKED)}
    if reference is None and scored:
        reference = max(scored, key=scored.__getitem__)
    if reference not in scored:
        return {"reference": reference, "differences": {}}
    theirs = values_of(records, reference, RANKED)
    found = {}
    for name in scored:
        pairs = [
            pair for pair in zip(values_of(records, name, RANKED), theirs, strict=True) if None not in pair
        ]
        if name != reference and pairs:
            found[name] = difference(*zip(*pairs, strict=True)) | {"n": len(pairs)}
    return {"reference": reference, "differences": found}


def difference(one: Sequence[float], other: Sequence[float], level: float = 0.95) -> dict[str, float | None]:
    """The mean of paired differences with its interval by Student's t; None for that of a single pair.

    Args:
        one: Numbers, one an image.
        other: Those to subtract, of the same images.
        level: The probability of the interval.
    """
    gaps = [a - b for a, b in zip(one, other, strict=True)]
    n, mean = len(gaps), math.fsum(gaps) / len(gaps)
    if n == 1:
        return {"mean": mean, "standard_error": None, "low": None, "high": None}
    error = math.sqrt(math.fsum((gap - mean) ** 2 for gap in gaps) / (n - 1) / n)
    half = float(student.ppf(0.5 + level / 2, n - 1)) * error
    return {"mean": mean, "standard_error": error, "low": mean - half, "high": mean + half}
