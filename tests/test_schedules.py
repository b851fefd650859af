"""Laws of schedules, and published values of the linear one."""

import pytest
import torch

from lightning_inv.schedules import CosineSchedule, LinearSchedule, Schedule, time_grid

SCHEDULES = [LinearSchedule(), LinearSchedule(T=100), CosineSchedule(), CosineSchedule(T=50)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: f"{type(s).__name__}-{s.T}")
def test_scales_obey_the_laws(schedule: Schedule) -> None:
    alpha, sigma = schedule.alpha, schedule.sigma
    assert (alpha[0], sigma[0]) == (1, 0)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(schedule.T + 1))
    assert (alpha.diff() < 0).all()
    assert (sigma.diff() >= 0).all()


@pytest.mark.parametrize(("index", "expected"), [(0, 0.9999), (950, 1.0604e-4), (999, 4.0358e-5)])
def test_linear_schedule_has_the_published_values(index: int, expected: float) -> None:
    alpha_t, _ = LinearSchedule()(torch.tensor(index + 1))
    assert alpha_t**2 == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("T", [20, 30, 100, 1000, 4000])
def test_linear_schedule_of_any_length_ends_in_noise(T: int) -> None:
    assert LinearSchedule(T).alpha[-1] < 0.01


def test_cosine_schedule_is_the_formula() -> None:
    T, t = 1000, torch.arange(1, 900)
    alpha_bar = torch.cos((t / T + 0.008) / 1.008 * torch.pi / 2) ** 2
    alpha_bar /= torch.cos(torch.tensor(0.008 / 1.008 * torch.pi / 2)) ** 2
    torch.testing.assert_close(CosineSchedule(T).alpha[t] ** 2, alpha_bar, atol=1e-5, rtol=1e-4)


def test_scales_broadcast_over_images() -> None:
    alpha_t, sigma_t = LinearSchedule()(torch.tensor([1, 500]))
    assert alpha_t.shape == sigma_t.shape == (2, 1, 1, 1)


@pytest.mark.parametrize("spacing", ["even", "uniform", "quadratic", "sigma"])
@pytest.mark.parametrize("steps", [1, 3, 20, 30, 31, 300, 999, 1000])
def test_grid_has_exactly_the_steps_asked_for(steps: int, spacing: str) -> None:
    grid = LinearSchedule().timesteps(steps, spacing)
    assert len(grid) == steps + 1
    assert grid[-1] == 0
    assert 1 <= grid[0] <= 1000
    assert (grid.diff() < 0).all()


def test_quadratic_grid_is_dense_where_there_is_little_noise() -> None:
    assert LinearSchedule().timesteps(10, "quadratic").tolist() == [k * k * 10 for k in range(10, -1, -1)]


def test_grid_of_20_steps_is_that_of_ddrm() -> None:
    assert LinearSchedule().timesteps(20).tolist() == [*range(951, 0, -50), 0]


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_impossible_steps_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match=rf"steps must be in \[1, 1000\], got {steps}"):
        LinearSchedule().timesteps(steps)


def test_betas_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got 0\.5 and 0\.1"):
        LinearSchedule(beta_min=0.5, beta_max=0.1)


def test_uniform_grid_is_that_of_guided_diffusion() -> None:
    """Respaced times i (T - 1) / (N - 1), rounded, which count from 0."""
    expected = [1 + round(i * 999 / 19) for i in range(20)]
    assert LinearSchedule().timesteps(20, "uniform").tolist() == [*expected[::-1], 0]


def test_sigma_grid_is_even_in_the_seventh_root_of_the_noise() -> None:
    schedule = LinearSchedule()
    times = schedule.timesteps(20, "sigma")[:-1]
    root = (schedule.sigma / schedule.alpha).double()[times] ** (1 / 7)
    assert (times[0], times[-1]) == (1000, 1)
    assert (
        root.diff()[:-3] / root.diff().mean() - 1
    ).abs().max() < 0.1  # the last times are whole numbers, too


def test_plans_that_know_no_schedule_refuse_sigma() -> None:
    with pytest.raises(ValueError, match="'sigma' is one of samplers"):
        time_grid(5, 1000, "sigma")
