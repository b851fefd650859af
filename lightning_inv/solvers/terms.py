"""What else a descent asks of an image, besides its prior and its measurement."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from lightning_inv.constraints import Clipped, Constraint, Measurement, View
from lightning_inv.noise import NoiseStream

Anneal = bool | Callable[[float], float]
"""How a weight changes over a run: it falls linearly to 0 (true), stays (false), or is multiplied by a
function of the part of the run that is over, in [0, 1)."""


def share_of(anneal: Anneal, over: float) -> float:
    """The share of its weight that a constraint has when this part of the run is over."""
    if callable(anneal):
        return anneal(over)
    return 1 - over if anneal else 1.0


@dataclass(frozen=True)
class Term:
    """One constraint with its weight.

    Args:
        constraint: The constraint; its energy is averaged over its entries.
        weight: The weight at the first step.
        anneal: How the weight changes, see ``Anneal``.
        view: What the constraint sees of the image; energies of several views are averaged.

    Raises:
        TypeError: A part is not of its kind, or the constraint is a measurement.
        ValueError: The weight is negative or not finite.
    """

    constraint: Constraint
    weight: float = 0.01
    anneal: Anneal = True
    view: View = field(default_factory=Clipped)

    def __post_init__(self) -> None:
        if isinstance(self.constraint, Measurement):
            raise TypeError(
                "a Measurement is no term: it belongs in model.measurement; Stack makes one of several."
            )
        for name, kind in {"constraint": Constraint, "view": View}.items():
            if not isinstance(part := getattr(self, name), kind):
                raise TypeError(f"Term.{name} must be a {kind.__name__}, got {part!r}.")
        if not isinstance(self.anneal, bool) and not callable(self.anneal):
            raise TypeError(f"Term.anneal must be true, false or a function, got {self.anneal!r}.")
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"Term.weight must be a number of at least 0, got {self.weight}.")

    def __call__(self, x: Tensor, y: Tensor | None, rng: NoiseStream, over: float) -> Tensor:
        """The weighted energy of each image, shape ``(B,)``, when this part of the run is over."""
        shown = self.view(x, rng)
        energy = sum(self.constraint.per_entry(one, y) for one in shown) / len(shown)
        return self.weight * share_of(self.anneal, over) * energy
