"""What samplers refuse, before any work."""

import pytest
import torch
from helpers import tiny_prior

from lightning_inv.constraints import Measurement
from lightning_inv.noise_models import GaussianNoise
from lightning_inv.operators import JPEG, HighDynamicRange, Identity
from lightning_inv.solvers import (
    DAPS,
    DDNM,
    DDRMJPEG,
    DPS,
    MMPS,
    TDS,
    ExactGuidance,
    REDDiff,
    Solver,
    TimeTravel,
)

MAP = GaussianNoise(torch.full((1, 1, 8, 8), 0.1))


def test_exact_guidance_needs_a_prior_that_is_known() -> None:
    with pytest.raises(TypeError, match=r"needs a prior that is a Gaussian.*got EpsilonDenoiser; MMPS can"):
        ExactGuidance().check(tiny_prior(), Measurement(Identity(), 0.1))


@pytest.mark.parametrize(
    ("solver", "measurement", "error", "message"),
    [
        (DAPS(), Measurement(Identity()), ValueError, "DAPS.tau must be given .* without noise"),
        (
            DAPS(tau=0.0),
            Measurement(Identity(), 0.1),
            ValueError,
            "DAPS.tau must be positive and finite, got 0.0",
        ),
        (DAPS(inner="exact"), Measurement(HighDynamicRange(), 0.1), TypeError, "got HighDynamicRange"),
        (DAPS(low=2.0, high=1.0), Measurement(Identity(), 0.1), ValueError, "0 < low <= high, got 2.0"),
        (DAPS(ode_steps=0), Measurement(Identity(), 0.1), ValueError, "at least 1, got 0 and 100"),
        (DPS(reference=0), Measurement(Identity(), 0.1), ValueError, "DPS.reference must be .* got 0"),
        (
            DPS(zeta=-1.0),
            Measurement(Identity(), 0.1),
            ValueError,
            "DPS.zeta must be at least 0 and finite, got -1.0",
        ),
        (MMPS(iterations=0), Measurement(Identity(), 0.1), ValueError, "MMPS.iterations .* got 0"),
        (
            DAPS(inner="hmc"),
            Measurement(Identity(), 0.1),
            ValueError,
            "DAPS.inner must be one of langevin, exact",
        ),
        (
            DDNM(spacing="quadratc"),
            Measurement(Identity()),
            ValueError,
            "spacing .* one of even, .* got 'quadratc'",
        ),
        (
            REDDiff(start_from="weiner"),
            Measurement(Identity()),
            ValueError,
            "start_from must be one of pinv, .*",
        ),
        (
            DDRMJPEG(spacing="sigma"),
            Measurement(JPEG()),
            ValueError,
            "DDRMJPEG.spacing must be .* got 'sigma'",
        ),
        (
            MMPS(),
            Measurement(Identity(), noise=MAP),
            TypeError,
            "MMPS needs noise that is alike for all entries",
        ),
        (TDS(particles=0), Measurement(Identity(), 0.1), ValueError, "TDS.particles .* got 0"),
        (TDS(threshold=2.0), Measurement(Identity(), 0.1), ValueError, r"TDS.threshold must be in \[0, 1\]"),
    ],
    ids=repr,
)
def test_settings_are_checked_early(
    solver: Solver, measurement: Measurement, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        solver.check(tiny_prior(), measurement)


def test_time_travel_refuses_stretches_without_steps() -> None:
    with pytest.raises(ValueError, match="length and repeats of at least 1, got 0 and 2"):
        TimeTravel(0, 2)
