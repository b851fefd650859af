"""Tables and plots of hand-made records."""

import csv
import io
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from lightning_inv.callbacks.differences import difference, differences
from lightning_inv.callbacks.pages import as_tables, long_form, page
from lightning_inv.callbacks.plots import against, family, style
from lightning_inv.callbacks.report import COLUMNS, ratio_statistics, statistics, values_of

PSNR = {"good": [30.0, 28.0, 33.0, 25.0], "fair": [29.5, 28.2, 31.0, 24.0], "poor": [20.0, 21.0, 22.0, 19.0]}


def records(psnr: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Records of images with these PSNR, and 1 in all else."""
    told = {name: [dict.fromkeys(COLUMNS, 1.0) | {"psnr_of_mean": v} for v in psnr[name]] for name in psnr}
    images = range(len(next(iter(psnr.values()))))
    return [{"index": i, "name": str(i), "solvers": {name: told[name][i] for name in psnr}} for i in images]


def summary(psnr: dict[str, list[float]], reference: str | None = None) -> dict[str, Any]:
    """The summary of such a problem, with its differences."""
    found = records(psnr)
    solvers = {name: {c: statistics(values_of(found, name, c)) for c in COLUMNS} for name in psnr}
    context = {"operator": "Inpainting", "sigma": 0.1, "sigma_of_images_in_0_1": 0.05, "samples": 1}
    told = {**context, "images": len(found), "solvers": solvers, "refused": {"other": "It cannot."}}
    return told | differences(told, found, reference)


def test_the_interval_is_that_of_scipy() -> None:
    found = difference(PSNR["fair"], PSNR["good"])
    low, high = ttest_rel(PSNR["fair"], PSNR["good"]).confidence_interval(0.95)
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert found["mean"] == pytest.approx(np.mean(PSNR["fair"]) - np.mean(PSNR["good"]))


def test_a_single_image_has_no_interval() -> None:
    assert difference([2.0], [3.0]) == {"mean": -1.0, "standard_error": None, "low": None, "high": None}
    assert "-1.00 " in as_tables({"a": summary({"good": [3.0], "fair": [2.0]})})


def test_solvers_are_compared_with_the_best_or_the_one_chosen() -> None:
    best, chosen = summary(PSNR), summary(PSNR, "poor")
    assert (best["reference"], list(best["differences"])) == ("good", ["fair", "poor"])
    assert chosen["differences"]["good"]["mean"] == pytest.approx(8.5)
    assert summary(PSNR, "absent")["differences"] == {}
    assert "No differences: absent has no PSNR here." in page({"a": summary(PSNR, "absent")})


def test_a_solver_without_a_number_is_not_compared() -> None:
    told = summary(PSNR | {"perfect": [None, 30.0, 30.0, 30.0]})
    assert "perfect" not in told["differences"]
    (line,) = [line for line in page({"a": told}).splitlines() if line.startswith("| perfect")]
    assert line.startswith("| perfect | 1.00 +- 0.00 | - |")


def test_the_long_form_has_a_row_a_figure() -> None:
    rows = list(csv.DictReader(io.StringIO(long_form({"a": summary(PSNR), "b": summary(PSNR)}))))
    assert len(rows) == 2 * (3 * len(COLUMNS) + 2)
    found = {(row["problem"], row["solver"], row["measure"]): row for row in rows}
    assert found["a", "good", "psnr_of_mean"]["mean"] == "29"
    assert found["b", "poor", "psnr_difference"]["mean"] == "-8.5"
    assert found["b", "poor", "psnr_difference"]["n"] == "4"


def test_what_is_missing_is_a_dash_with_a_note() -> None:
    told = summary(PSNR) | {"missing": {"fid": "no weights", "kid": "no weights"}}
    text = page({"a": told})
    assert "| other | - | - |" in text
    assert "other is left out: It cannot." in text
    assert "Not measured: FID, KID; no weights." in text


def test_the_error_of_the_ratio_is_that_of_the_jackknife() -> None:
    spreads, skills = [1.0, 2.0, 3.0], [2.0, 2.0, 4.0]
    ratio = lambda i: np.sqrt(1.25 * np.sum(np.delete(spreads, i) ** 2) / np.sum(np.delete(skills, i) ** 2))  # noqa: E731
    others = np.array([ratio(i) for i in range(3)])
    found = ratio_statistics(spreads, skills, 4)
    assert found["mean"] == pytest.approx(np.sqrt(1.25 * 14 / 24))
    assert found["standard_error"] == pytest.approx(np.sqrt(2 / 3 * np.sum((others - others.mean()) ** 2)))


FAMILIES = {"ddrm_20": ("ddrm", 20), "a_b_3": ("a_b", 3), "ddrm": ("ddrm", 0), "_5": ("_5", 0)}


@pytest.mark.parametrize(("name", "found"), FAMILIES.items())
def test_a_family_is_the_name_before_the_number(name: str, found: tuple[str, int]) -> None:
    assert family(name) == found


@pytest.mark.parametrize("count", [1, 4, 6])
@pytest.mark.parametrize("measure", ["evaluations", "seconds"])
def test_plots_have_a_panel_a_problem(count: int, measure: str) -> None:
    free = summary(PSNR)
    free["solvers"]["poor"]["evaluations"] = {"mean": 0.0, "standard_error": 0.0}
    image = against(measure, {f"problem{i}": free for i in range(count)})
    columns, rows = min(count, 4), -(-count // 4)
    assert image.size == (480 * columns, round(120 * (3.2 * rows + 0.8)))


def test_nothing_to_plot_is_no_error() -> None:
    against("seconds", {"a": {"solvers": {}}})


def test_many_solvers_are_told_apart_in_plots() -> None:
    assert len({style(i) for i in range(50)}) == 50
