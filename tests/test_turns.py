"""Prior and constraints in turns, by one optimizer."""

from functools import partial

import pytest
import torch

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import GaussianDenoiser
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import Identity
from lightning_inv.solvers import PlugAndPlay, Problem, Turns
from lightning_inv.solvers.descent import Variables
from lightning_inv.solvers.turns import cut

SHAPE = (1, 4, 4)


def problem_of(count: int, first: int = 0) -> Problem:
    prior, rng = (
        GaussianDenoiser(torch.zeros(SHAPE), torch.eye(16)),
        NoiseStream.of(0, range(first, first + count), "solver"),
    )
    return Problem(torch.full((count, *SHAPE), 0.3), Measurement(Identity(), 0.1), prior, rng)


class Counted(torch.optim.SGD):
    """Counts its steps."""

    def __init__(self, params: object) -> None:
        super().__init__(params)
        self.steps = 0
        made.append(self)

    def step(self) -> None:
        self.steps += 1
        super().step()


made: list[Counted] = []


@pytest.mark.parametrize(("turns", "count"), [(None, 4), (Turns(), 8)])
def test_turns_make_two_steps_by_one_optimizer(turns: Turns | None, count: int) -> None:
    PlugAndPlay(steps=4, turns=turns, optimizer=Counted)(problem_of(3))
    assert made[-1].steps == count


def moved(optimizer: object, prior_pull: list[float], pulls: list[float], **settings: float) -> list[float]:
    """Where a number is after each turn, when prior and constraint pull so; the learning rate is 1."""
    variables = Variables([torch.zeros(1, 1)])
    losses = (
        lambda t, i, z: prior_pull[i] * z.sum(),
        lambda t, i, z: pulls[i] * z.sum(),
    )
    update = Turns(**settings).updates(*losses, variables, optimizer(variables.flat, lr=1.0))
    places = []
    for i in range(len(pulls)):
        update([], i)
        places.append(float(variables.parts()[0].detach()))
    return places


def test_a_turn_of_the_constraints_is_no_longer_than_a_share_of_the_priors() -> None:
    """Norms 2, 4 and 8 of the prior have running means 2, 3 and 5.5."""
    places = moved(torch.optim.SGD, [-2.0, -4.0, -8.0], [-100.0, 100.0, -0.1], share=0.1, memory=0.5)
    assert places == pytest.approx([2.2, 2.2 + 4 - 0.3, 2.2 + 4 - 0.3 + 8 + 0.1])


def test_momentum_moves_an_image_that_no_constraint_pulls() -> None:
    """Both turns go by the same moments."""
    momentum = partial(torch.optim.SGD, momentum=0.5)
    assert moved(torch.optim.SGD, [-2.0], [0.0]) == [2.0]
    assert moved(lambda leaves, lr: momentum(leaves, lr=lr), [-2.0], [0.0]) == [3.0]


def test_no_gradient_is_cut_to_nothing_or_to_nan() -> None:
    gradient = torch.tensor([[0.0] * 4, [1.0] * 4, [1.0] * 4])
    found = cut(gradient, torch.tensor([[1.0], [5.0], [1.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.0] * 4, [1.0] * 4, [0.5] * 4]))


@pytest.mark.parametrize("settings", [{"share": -1.0}, {"memory": 1.0}])
def test_turns_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Turns needs share of at least 0 and memory in"):
        Turns(**settings)


def test_turns_do_not_let_images_meet() -> None:
    solver = PlugAndPlay(steps=6, lr=0.1, turns=Turns(), optimizer=torch.optim.Adamax)
    singles = torch.cat([solver(problem_of(1, i)) for i in range(3)])
    torch.testing.assert_close(solver(problem_of(3)), singles, atol=1e-5, rtol=1e-4)
