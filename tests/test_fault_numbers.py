"""Numbers that are not finite: an image without a result harms no other, and is told."""

import math

import pytest
import torch
from families import LINEAR
from small_solvers import SOLVERS, UNMEASURED
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate, GaussianDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import JPEG, Images
from lightning_inv.solvers import Problem

pytestmark = pytest.mark.faults
SHAPE, COUNT, BAD = (1, 8, 8), 3, 1
OTHERS = [b for b in range(COUNT) if b != BAD]
OPERATORS = {name: LINEAR[name].operator for name in ("random inpainting", "blurred and masked")}
OPERATORS["jpeg"] = JPEG(20)
"""A mask for each image, and what conjugate gradients invert."""
OF_Y = ("exact guidance", "pseudo-inverse")
"""Those that learn of an image by its measurement alone: the one knows its prior, the other has none."""


class OfClasses(Denoiser):
    """A Gaussian prior, whose estimates of images of class 1 are not finite from the middle of the way on."""

    num_classes = 2

    def __init__(self, harm: float) -> None:
        super().__init__()
        self.known, self.harm = GaussianDenoiser(torch.zeros(SHAPE), 0.1 * torch.eye(64)), harm
        self.schedule, self.shape = self.known.schedule, SHAPE

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        factor = torch.where((label == 1).view(-1, 1, 1, 1) & (t < 700), self.harm, 1.0)
        return Estimate(*(factor * part for part in self.known(x_t, t)))


def cases() -> list[tuple[str, str, float]]:
    """The solvers, each with the operators that it serves, and what it meets there."""
    found = [(name, "random inpainting", harm) for name in SOLVERS for harm in (math.nan, math.inf)]
    second = Measurement(OPERATORS["blurred and masked"])
    found += [
        (name, "blurred and masked", math.nan)
        for name, solver in SOLVERS.items()
        if name not in UNMEASURED and solver.serves(second)
    ]
    return [(name, "jpeg" if name == "DDRM for JPEG" else kind, harm) for name, kind, harm in found]


@pytest.mark.parametrize(("name", "kind", "harm"), cases())
def test_an_image_whose_numbers_are_not_finite_does_not_touch_the_others(
    name: str, kind: str, harm: float
) -> None:
    def stream(purpose: str) -> NoiseStream:
        return NoiseStream.of(0, range(COUNT), purpose)

    images = Images(SHAPE, [f"image{i}" for i in range(COUNT)], stream("operator"))
    measurement = Measurement(OPERATORS[kind], 0.1).prepare(images)
    y = measurement.observe(torch.randn(COUNT, *SHAPE) / 3, stream("measurement"))
    prior, label = OfClasses(harm), torch.zeros(COUNT, dtype=torch.long)
    prior = prior.known if name == "exact guidance" else prior

    def solved() -> Tensor:
        return SOLVERS[name](Problem(y, measurement, prior, stream("solver"), label))

    expected = solved()
    label[BAD] = 1
    y[BAD] *= harm if name in OF_Y else 1.0
    x = solved()
    torch.testing.assert_close(x[OTHERS], expected[OTHERS], atol=1e-5, rtol=1e-4)
    assert not x[BAD].isfinite().all()
