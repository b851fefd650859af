"""Too little memory: batches become smaller by themselves, or one sentence says what to lower."""

import gc
import json
import warnings
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import refusal
from lightning.pytorch.callbacks import Callback
from restorations import arguments, assert_same_rows, recorded
from spoilers import Greedy
from trainings import words

from lightning_inv.cli import infer, train
from lightning_inv.modules.parts import Parts
from lightning_inv.modules.solutions import Solution
from lightning_inv.out_of_memory import OutOfMemory, lacks_memory

pytestmark = pytest.mark.faults
BLANK = torch.full((1, 1, 1, 2, 2), torch.nan)
ERRORS = {
    "accelerator": torch.OutOfMemoryError("device out of memory. Tried to allocate 2.00 GiB."),
    "older accelerator": RuntimeError("MPS backend out of memory (MPS allocated: 8.0 GB)"),
    "cpu": RuntimeError("[enforce fail] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"),
    "library": RuntimeError("cuBLAS error: CUBLAS_STATUS_ALLOC_FAILED when calling `create(handle)`"),
    "python": MemoryError(),
}
OTHERS = [
    RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
    ValueError("the image is out of memory's range"),
    TypeError("unsupported operand"),
    KeyError("memory"),
]


class Attempts:
    """A solver of images of numbers, which gives each its place, and fails above a size.

    Args:
        most: The most images that it can do.
        error: What it raises.
    """

    def __init__(self, most: int, error: Exception) -> None:
        self.most, self.error, self.sizes = most, error, []

    def __call__(self, places: Sequence[int]) -> Solution:
        self.sizes.append(len(places))
        if len(places) > self.most:
            raise self.error
        x = torch.tensor(places, dtype=torch.float32).view(1, -1, 1, 1, 1).expand(1, -1, 1, 2, 2)
        return Solution(x, 3, 2, float(len(places)), 10.0 * len(places), [None] * len(places))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the half second in which all that the tests hold is looked through."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


@pytest.mark.parametrize("kind", ERRORS)
def test_a_batch_that_does_not_fit_is_halved_until_it_does(kind: str) -> None:
    attempts = Attempts(2, ERRORS[kind])
    with pytest.warns(UserWarning, match=r"a does not fit into memory with (7|4) images of") as told:
        found = Parts(True).solve(attempts, 7, "a", BLANK)
    assert attempts.sizes == [7, 4, 2, 2, 2, 1]
    assert sum("does not fit" in str(warning.message) for warning in told) == 2
    assert found.samples[0, :, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert (found.forward_calls, found.backward_calls, found.peak_memory) == (3, 2, 20.0)
    assert found.seconds == pytest.approx((6 * 2.0 + 1.0) / 7)
    assert found.failed == [None] * 7


def test_later_batches_begin_with_what_fitted() -> None:
    attempts, parts = Attempts(2, MemoryError()), Parts(True)
    with pytest.warns(UserWarning, match="4 images"):
        parts.solve(attempts, 4, "a", BLANK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts.solve(attempts, 4, "a", BLANK)
    assert attempts.sizes == [4, 2, 2, 2, 2]


def test_images_of_another_size_and_other_solvers_are_tried_anew() -> None:
    attempts, parts = Attempts(2, MemoryError()), Parts(True)
    with pytest.warns(UserWarning, match="4 images"):
        parts.solve(attempts, 4, "a", BLANK)
    attempts.most = 4
    parts.solve(attempts, 4, "b", BLANK)
    parts.solve(attempts, 4, "a", torch.full((1, 1, 1, 1, 1), torch.nan))
    assert attempts.sizes == [4, 2, 2, 4, 4]


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: type(error).__name__)
def test_an_error_of_another_kind_is_not_taken_for_it(error: Exception) -> None:
    attempts = Attempts(2, error)
    with pytest.raises(type(error)) as caught:
        Parts(True).solve(attempts, 4, "a", BLANK)
    assert caught.value is error
    assert attempts.sizes == [4]


def test_a_single_image_that_does_not_fit_is_an_error_that_names_settings() -> None:
    with (
        pytest.warns(UserWarning, match="2 images"),
        pytest.raises(OutOfMemory, match=r"a single image of shape \(1, 2, 2\) .* model\.tile, .*bf16-mixed"),
    ):
        Parts(True).solve(Attempts(0, MemoryError()), 2, "a", BLANK)


def test_batches_are_not_halved_where_that_is_not_wanted() -> None:
    with pytest.raises(OutOfMemory, match=r"make data\.batch_size smaller, or give model\.halve_batch=true"):
        Parts(False).solve(Attempts(1, MemoryError()), 2, "a", BLANK)


def test_what_did_not_fit_is_free_before_less_is_tried() -> None:
    held: list[weakref.ref] = []

    def solve(places: Sequence[int]) -> Solution:
        assert all(ref() is None for ref in held)
        large = torch.empty(len(places))
        held.append(weakref.ref(large))
        if len(places) > 1:
            raise MemoryError
        return Attempts(1, MemoryError())(places)

    with pytest.warns(UserWarning, match="4 images"):
        Parts(True).solve(solve, 4, "a", BLANK)
    assert len(held) == 6


def test_what_the_allocator_of_the_cpu_raises_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert lacks_memory(caught.value)


def greedy(prior: Path, folder: Path, most: int, *more: str, samples: int = 2, tries: int = 99) -> list[str]:
    """The words of a restoration by a solver that really asks for more than there is."""
    usual = [word for word in arguments(prior, folder) if not word.startswith("--model.solvers")]
    solver = {"greedy": {"class_path": "spoilers.Greedy", "init_args": {"most": most, "tries": tries}}}
    return [*usual, f"--model.samples={samples}", f"--model.solvers={json.dumps(solver)}", *more]


def test_a_restoration_whose_batches_do_not_fit_gives_what_it_gives_of_small_ones(
    prior: Path, tmp_path: Path
) -> None:
    infer(greedy(prior, tmp_path / "small", 5))
    Greedy.held.clear()
    with pytest.warns(UserWarning, match=r"greedy does not fit into memory with 5 images .* going on with 3"):
        infer(greedy(prior, tmp_path / "large", 2))
    assert Greedy.held == [5, 3, 2, 2, 2, 2, 1, 1]
    assert_same_rows(tmp_path / "small", tmp_path / "large")


def test_samples_that_are_spread_are_halved_too(prior: Path, tmp_path: Path) -> None:
    spread = ["--model.spread_samples=true", "--data.limit=2"]
    infer(greedy(prior, tmp_path / "small", 9, *spread, samples=3))
    with pytest.warns(UserWarning, match="greedy does not fit"):
        infer(greedy(prior, tmp_path / "large", 2, *spread, samples=3))
    one, other = (recorded(tmp_path / name)[1]["solvers"]["greedy"] for name in ("small", "large"))
    assert one["psnr_of_mean"] == pytest.approx(other["psnr_of_mean"], abs=1e-4)


def test_a_restoration_that_cannot_go_on_for_want_of_memory_says_so_and_keeps_what_is_done(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    Greedy.held.clear()
    once = greedy(prior, tmp_path, 2, "--data.batch_size=2", tries=1, samples=1)
    with pytest.warns(UserWarning, match="greedy does not fit"):
        said = " ".join(refusal(infer, once, capsys).split())
    assert "greedy does not fit into memory with a single image of shape (1, 8, 8) at a time" in said
    assert recorded(tmp_path).keys() == {0, 1}
    Greedy.held.clear()
    refusal(infer, once, capsys)
    assert recorded(tmp_path).keys() == {0, 1, 2, 3}


def test_another_error_of_a_restoration_keeps_its_traceback(prior: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="The size of tensor a"):
        infer(greedy(prior, tmp_path, 2, samples=1, tries=-1))


class Lonely(Callback):
    """Finds that another process is gone, as gloo says it."""

    def on_train_batch_end(self, *_: Any) -> None:
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:37351")


def test_the_loss_of_another_process_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    said = refusal(train, words(tmp_path / "run", f"--trainer.callbacks={__name__}.Lonely"), capsys)
    assert "another process of this run has failed; its own message says why." in said
    assert "Traceback" not in said
