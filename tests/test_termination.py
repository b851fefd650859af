"""SIGTERM ends a restoration after the present batch."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from restorations import arguments, assert_same, recorded

from lightning_inv.cli import infer
from lightning_inv.modules.termination import Termination

pytestmark = pytest.mark.faults


class Terminator(Callback):
    """Asks this process to end, as a cluster does, when the second batch begins."""

    def on_predict_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_restoration_that_is_terminated_keeps_its_batch_ends_with_143_and_goes_on(
    prior: Path, finished: Path, tmp_path: Path
) -> None:
    words = arguments(prior, tmp_path, "--data.batch_size=2")
    with pytest.raises(SystemExit) as caught:
        infer([*words, f"--trainer.callbacks={__name__}.Terminator"])
    assert caught.value.code == 143
    assert sorted(recorded(tmp_path)) == [0, 1, 2, 3]
    infer(words)
    assert_same(finished, tmp_path)


@pytest.fixture
def handler() -> Any:
    """Puts back the handler that was there before."""
    usual = signal.getsignal(signal.SIGTERM)
    yield usual
    signal.signal(signal.SIGTERM, usual)


def test_processes_that_this_one_has_started_are_told_once(handler: Any) -> None:
    told: list[int] = []
    launcher = SimpleNamespace(kill=told.append)
    Termination().listen(SimpleNamespace(strategy=SimpleNamespace(launcher=launcher)))
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
    assert told == [signal.SIGTERM]
