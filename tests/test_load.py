"""Many images: what a run holds and looks at does not grow with what is done."""

import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers import refusal
from restorations import ROOT

from lightning_inv.callbacks import ResultWriter
from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.cli import infer
from lightning_inv.data import image_files

pytestmark = pytest.mark.faults
COUNT, BATCH = 300, 50


@pytest.fixture(scope="module")
def load() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        import load

        yield load


@pytest.fixture(scope="module")
def run(load: Any, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run of many images, the most predictions that it kept, and what was decoded when it was repeated."""
    place = tmp_path_factory.mktemp("load")
    load.make(COUNT, place)
    words, kept, decoded = load.words(place, BATCH, place / "all"), [], []
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, kept)
        infer(words)
        patch.setattr(image_files, "verify", lambda path, *_: decoded.append(path))
        infer(words)
    return SimpleNamespace(place=place, words=words, kept=max(kept), decoded=decoded)


def watch(patch: pytest.MonkeyPatch, kept: list[int]) -> None:
    """Counts, whenever results are written, the predictions that there are."""
    write, seen = ResultWriter.write_on_batch_end, []

    def counted(self: Any, trainer: Any, module: Any, prediction: Any, *more: Any) -> None:
        seen.append(weakref.ref(prediction))
        kept.append(sum(known() is not None for known in seen))
        write(self, trainer, module, prediction, *more)

    patch.setattr(ResultWriter, "write_on_batch_end", counted)


def test_predictions_that_were_written_are_not_kept(run: SimpleNamespace) -> None:
    assert run.kept <= 2


def test_a_run_that_has_nothing_left_to_do_decodes_no_image(run: SimpleNamespace) -> None:
    assert run.decoded == []


@pytest.fixture
def few(load: Any, tmp_path: Path) -> list[str]:
    """The words of a run of four images that was done."""
    load.make(4, tmp_path)
    infer(words := load.words(tmp_path, 2, tmp_path / "all"))
    return words


def break_image(place: Path, index: int) -> None:
    (place / "images" / "part0" / "grey" / f"{index:07d}.png").write_bytes(b"broken")


def test_a_shard_is_not_stopped_by_a_broken_image_of_another(load: Any, tmp_path: Path) -> None:
    load.make(4, tmp_path)
    break_image(tmp_path, 1)
    infer([*load.words(tmp_path, 2, tmp_path / "all"), "--data.shard=0/2"])
    assert Manifest(tmp_path / "all").done() == {0, 2}


def test_results_stay_where_a_broken_image_stops_a_run_that_would_begin_anew(
    few: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    break_image(tmp_path, 1)
    said = refusal(infer, [*few, "--output.overwrite=true"], capsys)
    assert "(1 of 4 images are broken" in said
    assert Manifest(tmp_path / "all").done() == {0, 1, 2, 3}


def test_the_figures_of_a_run_are_told(
    load: Any, run: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "imported", lambda module: 1.0)
    pictures = 5 + np.sort(load.times(run.place / "all") - load.times(run.place / "all").min())
    told = load.Run(9.0, pictures, np.array([[0.0, 100.0], [20.0, 100.0]]), 120.0)
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- begin load -->\nFormer figures.\n<!-- end load -->\nafter\n")
    options = SimpleNamespace(images=COUNT, batch=BATCH)
    load.write_part(page, "load", load.text(options, run.place, dict.fromkeys(("few", "all", "again"), told)))
    text = page.read_text()
    assert text.startswith("before\n<!-- begin load -->\n### 300 images in one run")
    assert text.endswith("<!-- end load -->\nafter\n")
    assert "Former" not in text
    assert "it grew by 0 bytes an image" in text
    assert f"{COUNT + 5} files, 1.02 an image" in text


def test_paces_are_those_of_pencil_and_paper(load: Any) -> None:
    slower = np.concatenate([np.arange(1000) * 0.001, 1 + np.arange(1000) * 0.002])
    found = load.paces(slower)
    assert found["first 1000"] == pytest.approx(1)
    assert found["last 1000"] == pytest.approx(2)
    assert found["tenth 10"] == pytest.approx(2)
