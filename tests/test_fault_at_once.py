"""Tasks of an array that begin in one folder at once: those of other settings than the first are refused."""

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from lightning_inv.callbacks import manifest
from lightning_inv.callbacks.manifest import Manifest

pytestmark = pytest.mark.faults
SETTINGS = {"seed": 0, "solvers": {"ddrm": {}}}


def meanwhile(monkeypatch: pytest.MonkeyPatch, folder: Path, settings: dict) -> None:
    """Has another task of an array begin after the first one has looked, before it writes."""

    def begin(*_: object) -> None:
        monkeypatch.setattr(manifest, "remove_parts", lambda *_: None)
        Manifest(folder).open(settings, overwrite=False, shared=True)

    monkeypatch.setattr(manifest, "remove_parts", begin)


@pytest.mark.parametrize("seed", [0, 1])
def test_of_tasks_of_other_settings_that_begin_at_once_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    first = {**SETTINGS, "seed": seed}
    meanwhile(monkeypatch, tmp_path, first)
    with pytest.raises(ValueError, match=r"differs in: seed\.") if seed else nullcontext():
        Manifest(tmp_path).open(SETTINGS, overwrite=False, shared=True)
    assert Manifest(tmp_path).open(first, overwrite=False, shared=True) == set()
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_tasks_begin_where_the_file_system_has_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    Manifest(tmp_path).open(SETTINGS, overwrite=False, shared=True)
    with pytest.raises(ValueError, match="differs in: seed"):
        Manifest(tmp_path).open({**SETTINGS, "seed": 1}, overwrite=False, shared=True)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
