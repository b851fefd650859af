"""What else a descent asks of an image, besides its prior and its measurement."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from lightning_inv.constraints import Clipped, Constraint, View
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
    """

    constraint: Constraint
    weight: float = 0.01
    anneal: Anneal = True
    view: View = field(default_factory=Clipped)

    def __call__(self, x: Tensor, y: Tensor | None, rng: NoiseStream, over: float) -> Tensor:
        """The weighted energy of each image, shape ``(B,)``, when this part of the run is over."""
        shown = self.view(x, rng)
        energy = sum(self.constraint.per_entry(one, y) for one in shown) / len(shown)
        return self.weight * share_of(self.anneal, over) * energy
