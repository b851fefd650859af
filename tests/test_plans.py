"""The times that descents visit."""

import pytest

from lightning_inv.solvers import Grid, Oscillating


def test_oscillating_plan_is_that_of_the_mnist_experiment() -> None:
    t = Oscillating().times(1000, 1000)
    assert int((t == 1000).sum()) == 65
    assert (t[:65] == 1000).all()
    assert t[65] < 1000
    assert (t[:200].min(), t[200:400].max(), t[999]) == (628, 868, 1)


def test_grid_plan_is_the_grid_of_samplers() -> None:
    assert Grid().times(20, 1000).tolist() == list(range(951, 0, -50))


def test_grid_plan_may_be_squeezed() -> None:
    assert Grid(high=0.5, low=0.1).times(4, 1000).tolist() == [401, 301, 201, 101]
    with pytest.raises(ValueError, match=r"0 <= low < high <= 1, got 0\.5 and 0\.1"):
        Grid(high=0.1, low=0.5).times(4, 1000)
