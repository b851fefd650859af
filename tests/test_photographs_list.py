"""The photographs behind the photographic prior, and the script that gathers them."""

from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import photographs

    return photographs


@pytest.fixture
def unpacked(script: ModuleType, tmp_path: Path) -> Path:
    """Packages as they are unpacked; each photograph holds its own name."""
    for row in script.photographs():
        file = tmp_path / "unpacked" / row["file"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(row["name"])
    return tmp_path / "unpacked"


def test_every_photograph_has_a_name_of_its_own_an_author_and_a_licence(script: ModuleType) -> None:
    rows = script.photographs()
    assert all(row[key] for row in rows for key in ("name", "package", "file", "author", "licence"))
    assert len({row["name"].lower() for row in rows}) == len(rows) == 37


def test_photographs_are_gathered_under_their_names(
    script: ModuleType, unpacked: Path, tmp_path: Path
) -> None:
    script.main(["--root", str(unpacked), "--folder", str(tmp_path / "photographs")])
    found = {file.stem: file.read_text() for file in (tmp_path / "photographs").iterdir()}
    assert found == {row["name"]: row["name"] for row in script.photographs()}


def test_what_is_missing_is_told_before_anything_is_copied(
    script: ModuleType, unpacked: Path, tmp_path: Path
) -> None:
    (unpacked / "usr/share/backgrounds/mate/nature/Wood.jpg").unlink()
    with pytest.raises(SystemExit, match=r"Wood\.jpg is not there; it is of the package mate-backgrounds"):
        script.main(["--root", str(unpacked), "--folder", str(tmp_path / "photographs")])
    assert not (tmp_path / "photographs").exists()


def test_the_packages_are_told(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    script.main(["--packages"])
    assert set(capsys.readouterr().out.split()) == {
        "lomiri-wallpapers-16.04",
        "lomiri-wallpapers-20.04",
        "mate-backgrounds",
        "plasma-workspace-wallpapers",
    }
