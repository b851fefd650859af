"""Inputs that once were answered by something else than an error of ours, and the harness that found them."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzzing import harness
from fuzzing.targets import TARGETS
from fuzzing.toys import Toy
from fuzzing.worker import Worker

pytestmark = pytest.mark.faults

FINDINGS = sorted(path for path in (Path(__file__).parent / "fuzzing" / "findings").iterdir())
SECONDS = 20


@pytest.fixture
def hurry() -> Iterator[None]:
    """Ends a test that hangs."""

    def late(*_: object) -> None:
        raise TimeoutError

    saved = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, saved)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Where a worker reads and writes, and where it keeps what it found."""
    for name in ("box", "found"):
        (tmp_path / name).mkdir()
    return tmp_path / "box", tmp_path / "found"


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.name)
@pytest.mark.usefixtures("hurry")
def test_what_was_found_is_accepted_or_refused_in_a_sentence(path: Path, folders: tuple[Path, Path]) -> None:
    name = path.name.split("-")[0]
    fault = Worker(name, TARGETS[name], *folders).run(path.suffix, path.read_bytes())
    assert fault is None, "".join(story.read_text() for story in folders[1].glob("*.txt"))


@pytest.mark.parametrize(("text", "kind"), [("run", "effect"), ("grow", "memorygrowth"), ("error", "key")])
def test_a_worker_keeps_what_has_a_fault(folders: tuple[Path, Path], text: str, kind: str) -> None:
    worker = Worker("toy", Toy(), *folders)
    assert worker.run(".dat", b"calm") is None
    assert worker.run(".dat", text.encode()).startswith(f"toy-{kind}error-")
    assert [path.read_text() for path in folders[1].iterdir() if text in path.read_text()]


def test_the_harness_goes_on_after_an_input_that_hangs_or_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "HANG", 0.6)
    (row,) = list(harness.fuzz(["toy"], ["random"], 4.0, 0, tmp_path))
    kinds = {fault.split("-")[1] for fault in row.faults}
    assert {"keyerror", "hung"} <= kinds
    assert row.restarts > 0
    assert all(b"hang" in path.read_bytes() for path in tmp_path.glob("toy-hung-*.dat"))
    assert list(tmp_path.glob("toy-hung-*.[dj]*"))
    assert f"{row.inputs}" in harness.table([row])
