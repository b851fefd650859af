"""Checkpoints that somebody has forged: a sentence names the file before they take memory, or act."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import within
from lightning.pytorch.callbacks import ModelCheckpoint, Timer
from test_fault_foreign import changed, short
from torch import Tensor
from torch.optim import lr_scheduler
from trainings import checkpoint, trained

from lightning_inv.callbacks import AtomicCheckpointIO, check_checkpoint
from lightning_inv.modules.resuming import check_optimizer, check_schedule
from lightning_inv.out_of_memory import OutOfMemory

pytestmark = pytest.mark.faults
MOMENT = ("optimizer_states", 0, "state", 0, "exp_avg")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of two steps."""
    folder = tmp_path_factory.mktemp("begun")
    short(folder, 2)
    return folder


@pytest.fixture
def content(begun: Path) -> dict[str, Any]:
    return checkpoint(begun)


def forged(content: dict[str, Any], path: tuple, value: Any, folder: Path) -> Path:
    """The file of a checkpoint with another value."""
    torch.save(changed(content, path, value), folder / "a.ckpt")
    return folder / "a.ckpt"


# Memory


def within_itself() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def doubled() -> list[Any]:
    """Some lists, each twice in the next: in the file a few bytes, unfolded 2^60."""
    found: list[Any] = [1.0]
    for _ in range(60):
        found = [found, found]
    return found


@pytest.mark.parametrize("made", [within_itself, doubled])
@pytest.mark.parametrize(
    "place",
    [("given",), ("denoiser", "init_args"), ("callbacks", "PriorFile", "best"), ("loops", "fit_loop")],
    ids=str,
)
def test_lists_that_unfold_without_an_end_are_refused(
    place: tuple, made: Callable[[], Any], content: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "a.ckpt"
    torch.save(changed(content, place, made()), path)
    with within(20), pytest.raises(ValueError, match=r"a\.ckpt (may not be gone on|is no checkpoint)"):
        check_checkpoint(path)


TENSORS: dict[str, tuple[Callable[[], Any], str]] = {
    "expanded": (
        lambda: torch.zeros(1).expand(1000, 1000, 1000),
        "(1000, 1000, 1000), more than the file",
    ),
    "overlapping": (lambda: torch.zeros(20_000).as_strided((9999, 9999), (1, 1)), "more than the file holds"),
    "shared": (lambda: list(torch.zeros(10**5).expand(300, -1)), "more than the file holds"),
    "sparse": (lambda: torch.eye(4).to_sparse(), "is no plain tensor, but torch.float32, torch.sparse_coo"),
    "meta": (
        lambda: torch.zeros(10**9, device="meta"),
        "is no plain tensor, but torch.float32",
    ),
    "quantised": (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "but torch.qint8"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TENSORS)
def test_a_tensor_that_takes_more_memory_than_its_file_is_refused(
    kind: str, content: dict[str, Any], tmp_path: Path
) -> None:
    """A stride of 0 makes a GB of one number, where an optimizer lays it out anew."""
    make, told = TENSORS[kind]
    path = forged(content, MOMENT, make(), tmp_path)
    with pytest.raises(ValueError, match=r"a\.ckpt may not be gone .*optimizer_states\.0\.state\.0") as said:
        check_checkpoint(path)
    assert told in str(said.value)
    with pytest.raises(ValueError, match="may not be gone on from"):
        AtomicCheckpointIO().load_checkpoint(path)


# What Lightning restores


STATES: list[tuple[tuple, Any, str]] = [
    (MOMENT, torch.zeros(3, 3), "its optimizer has 'exp_avg' of the shape (3, 3) for a weight that needs"),
    (MOMENT, torch.tensor(0.0), "its optimizer has 'exp_avg' of the shape () for a weight that needs"),
    (
        (*MOMENT[:-1], "step"),
        torch.zeros(3),
        "its optimizer has 'step' of the shape (3,) for a weight",
    ),
    (("accumulate",), torch.ones(3), "RuntimeError: Boolean value of Tensor"),
    (
        ("lr_schedulers", 0, "step"),
        5,
        "'step' is no state of a schedule of model.lr_scheduler",
    ),
    (("lr_schedulers", 0, "get_lr"), "x", "'get_lr' is no state of a schedule of model.lr_scheduler"),
    (("lr_schedulers", 0, "last_epoch"), 10**400, "'last_epoch' is no state of a schedule of"),
]


@pytest.mark.parametrize(("path", "value", "told"), STATES)
def test_a_forged_state_is_told_by_the_name_of_its_file_and_nothing_is_written(
    path: tuple, value: Any, told: str, content: dict[str, Any], tmp_path: Path
) -> None:
    file = forged(content, path, value, tmp_path)
    with pytest.raises(ValueError, match=r"a\.ckpt is no checkpoint of this training: ") as said:
        short(tmp_path / "run", 3, file)
    assert told in str(said.value)
    assert not list(tmp_path.glob("run/**/*.ckpt"))


def test_a_forged_time_names_its_file(tmp_path: Path) -> None:
    def timed(steps: int, begun: Path | None = None) -> None:
        trained([Timer("00:01:00:00"), ModelCheckpoint(tmp_path, filename="a")], tmp_path, steps, begun)

    timed(1)
    path = ("callbacks", "Timer", "time_elapsed")
    file = forged(torch.load(tmp_path / "a.ckpt", weights_only=True), path, {"train": "x"}, tmp_path)
    with pytest.raises(ValueError, match=r"a\.ckpt is no checkpoint of this training: TypeError: "):
        timed(2, file)


@pytest.mark.parametrize("best", [[1], {"a": "x"}, {"a": torch.ones(3)}])
def test_forged_scores_of_the_best_are_refused(best: Any, content: dict[str, Any], tmp_path: Path) -> None:
    key = next(key for key in content["callbacks"] if "Checkpoint" in key)
    file = forged(content, ("callbacks", key, "best_k_models"), best, tmp_path)
    with pytest.raises(ValueError, match=r"a\.ckpt .* its best_k_models have no scores\."):
        check_checkpoint(file)


class Restored(ModelCheckpoint):
    """Fails while it is restored, but by no fault of the checkpoint."""

    error: Exception

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        OutOfMemory("make it smaller."),
        RuntimeError("[gloo/transport/tcp/pair.cc:1] Connection closed by peer"),
        RuntimeError("CUDA error: unspecified launch failure"),
    ],
    ids=["memory", "our own", "process", "device"],
)
def test_what_is_no_fault_of_a_checkpoint_stays_what_it_is(error: Exception, tmp_path: Path) -> None:
    fails = Restored(tmp_path, filename="a")
    trained([fails], tmp_path, 1)
    fails.error = error
    with pytest.raises(type(error)) as said:
        trained([fails], tmp_path, 2, tmp_path / "a.ckpt")
    assert said.value is error


# Other places


def keyed(content: dict[str, Any]) -> tuple[str, str]:
    """Where the state of the checkpoints lies."""
    return "callbacks", next(key for key in content["callbacks"] if "Checkpoint" in key)


@pytest.mark.parametrize("name", ["link/best.ckpt", "\0/best.ckpt", "../best.ckpt", "../../best.ckpt"])
def test_a_checkpoint_that_names_another_place_is_refused(
    name: str, content: dict[str, Any], tmp_path: Path
) -> None:
    """Lightning removes what was the best before."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link").symlink_to(tmp_path / "theirs")
    path, place = (*keyed(content), "best_k_models"), f"{tmp_path}/run/{name}"
    file = forged(content, path, {place: torch.tensor(1.0)}, tmp_path / "run")
    with pytest.raises(ValueError, match=r"a\.ckpt may not be gone on from: it names another place, "):
        check_checkpoint(file)


@pytest.mark.parametrize("dirpath", ["/nowhere/checkpoints", "{}/link"], ids=["once", "and gone on with"])
def test_a_checkpoint_of_a_run_that_was_moved_is_taken(
    dirpath: str, content: dict[str, Any], tmp_path: Path
) -> None:
    """What was the best before has its old path until there is a better one."""
    (tmp_path / "own").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "own")
    place, key = keyed(content)
    old, folder = "/nowhere/checkpoints/best.ckpt", dirpath.format(tmp_path)
    best = {f"{folder}/best.ckpt": torch.tensor(1.0)}
    content[place][key].update(dirpath=folder, best_model_path=old, best_k_models=best)
    torch.save(content, tmp_path / "own" / "a.ckpt")
    for name in ("own", "link"):
        check_checkpoint(tmp_path / name / "a.ckpt")


@pytest.mark.parametrize("version", ["0.9.0", "1.9.5", "x", "", "2", "9" * 5000 + ".0"])
def test_a_checkpoint_that_lightning_would_change_as_it_reads_is_refused(
    version: str, content: dict[str, Any], tmp_path: Path
) -> None:
    """It makes paths to be removed of keys of old versions, after they were checked."""
    file = forged(content, ("pytorch-lightning_version",), version, tmp_path)
    with pytest.raises(ValueError, match=r"a\.ckpt .* its Lightning must be of version 2\.0 or above, got"):
        check_checkpoint(file)


def test_a_checkpoint_with_paths_of_an_old_version_is_refused(
    content: dict[str, Any], tmp_path: Path
) -> None:
    path = ("checkpoint_callback_best_model_path",)
    with pytest.raises(ValueError, match=r"a\.ckpt may not .*_best_model_path' is of versions before 2\.0"):
        check_checkpoint(forged(content, path, "theses", tmp_path))


# What honest trainings keep is taken


def stepped(kind: type, **settings: Any) -> torch.optim.Optimizer:
    """An optimizer that has made a step, with its state from one that has."""
    weights = [torch.ones(2, 3, requires_grad=True)]
    optimizers = [kind(weights, lr=0.1, **settings) for _ in range(2)]

    def loss() -> Tensor:
        weights[0].grad = torch.ones(2, 3)
        return weights[0].sum()

    optimizers[0].step(loss)
    optimizers[1].load_state_dict(optimizers[0].state_dict())
    return optimizers[1]


KINDS = [
    kind
    for kind in vars(torch.optim).values()
    if isinstance(kind, type) and kind not in (torch.optim.Optimizer, torch.optim.SparseAdam)
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_of_every_optimizer_of_torch_is_taken(kind: type) -> None:
    check_optimizer(stepped(kind), "a.ckpt")


def test_the_states_of_further_means_and_momenta_are_taken() -> None:
    check_optimizer(stepped(torch.optim.AdamW, amsgrad=True), "a.ckpt")
    check_optimizer(stepped(torch.optim.RMSprop, momentum=0.9, centered=True), "a.ckpt")
    check_optimizer(stepped(torch.optim.SGD, momentum=0.9), "a.ckpt")


SCHEDULES: list[Callable[[torch.optim.Optimizer], Any]] = [
    lambda o: lr_scheduler.StepLR(o, 3),
    lambda o: lr_scheduler.LambdaLR(o, lambda step: 1.0),
    lambda o: lr_scheduler.ReduceLROnPlateau(o),
    lambda o: lr_scheduler.OneCycleLR(o, 0.1, 10),
    lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, mode="exp_range"),
    lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5),
    lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.ConstantLR(o), lr_scheduler.LinearLR(o)], [2]),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", SCHEDULES)
def test_the_state_of_schedules_of_torch_is_taken(make: Callable[[torch.optim.Optimizer], Any]) -> None:
    schedule = make(torch.optim.SGD([torch.ones(2, requires_grad=True)], lr=0.1, momentum=0.9))
    schedule.load_state_dict(schedule.state_dict())
    check_schedule(schedule, "a.ckpt")
