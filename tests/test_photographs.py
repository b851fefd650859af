"""Scripts that measure a prior of photographs, in miniature."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def test_held_out_photographs_come_out_of_wheels() -> None:
    from held_out import FILES, photographs

    for split in FILES:
        names, x = photographs(32, split)
        assert names == list(FILES[split])
        assert x.shape == (len(names), 3, 32, 32)
        assert -1 <= x.min() < x.max() <= 1
        assert x.std((1, 2, 3)).min() > 0.1  # each shows something
    assert FILES["test"].keys().isdisjoint(FILES["tuning"])


def test_a_wheel_without_the_photograph_is_told() -> None:
    from held_out import path_of

    with pytest.raises(FileNotFoundError, match=r"no data/none\.png in the package skimage;"):
        path_of("skimage", "data/none.png")
