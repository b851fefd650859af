"""Scripts that write the pages of results."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def test_conformance_is_told_of_every_solver(tmp_path: Path) -> None:
    import conformance

    page = tmp_path / "page.md"
    conformance.main(["--images", "2", "--samples", "19", "--budgets", "20", "--page", str(page)])
    text = page.read_text()
    committed = (ROOT / "docs" / "conformance.md").read_text()
    for name in (*conformance.SOLVERS, *conformance.BLIND, "exact posterior", "pseudo-inverse"):
        assert f"| {name} |" in text
        assert f"| {name} |" in committed
    assert text.count("## ") == committed.count("## ")
    assert page.with_name("consistency.png").stat().st_size > 1000


def test_a_part_of_a_page_is_replaced_and_others_stay(tmp_path: Path) -> None:
    from pages import write_part

    page = tmp_path / "page.md"
    for name, text in (("a", "one"), ("b", "two"), ("a", "three")):
        write_part(page, name, text)
    assert (
        page.read_text()
        == "<!-- begin a -->\nthree\n<!-- end a -->\n\n<!-- begin b -->\ntwo\n<!-- end b -->\n"
    )


def test_the_page_of_results_has_all_its_parts() -> None:
    text = (ROOT / "docs" / "results.md").read_text()
    assert all(f"<!-- begin {name} -->" in text for name in ("restoration", "guidance"))
