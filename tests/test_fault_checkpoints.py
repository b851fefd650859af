"""Checkpoints that are damaged or made to do harm: the exact contents are read, or nothing is."""

import copy
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import flipped, read_or_refused, same, within
from helpers import refusal
from hostile import Harm
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy
from ranks import SHARED
from restorations import arguments
from trainings import words

from lightning_inv.callbacks import AtomicCheckpointIO, check_strategy, checkpoint_io
from lightning_inv.callbacks.checkpoint_io import read_checkpoint
from lightning_inv.callbacks.checkpoints import newest
from lightning_inv.cli import infer, train

pytestmark = pytest.mark.faults
CONTENT = {"state_dict": {"a": torch.arange(30.0), "b": torch.ones(4, 4)}, "global_step": 7, "name": "x" * 20}
load = read_checkpoint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small checkpoint."""
    AtomicCheckpointIO().save_checkpoint(CONTENT, tmp_path / "a.ckpt")
    return tmp_path / "a.ckpt"


def assert_whole(found: dict[str, Any]) -> None:
    assert same(found["state_dict"], CONTENT["state_dict"])
    assert {**found, "state_dict": None} == {**CONTENT, "state_dict": None}


# Damage


def test_a_flipped_bit_of_a_checkpoint_is_noticed_or_changes_nothing(file: Path) -> None:
    for _ in flipped(file, 500):
        found = read_or_refused(load, file)
        if found is not None:
            assert_whole(found)


def spoil(path: Path, find: bytes) -> None:
    """Flips a bit of the first of these bytes."""
    content = path.read_bytes()
    at = content.index(find)
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


PLACES = {
    "weights": torch.arange(20.0, 23.0).numpy().tobytes(),
    "pickle": b"global_step",
    "zip table": b"PK\x01\x02",
    "what torch alone reads": b"PK\x06\x07",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_newest_checkpoint_that_is_damaged_gives_way_to_the_one_before(file: Path, place: str) -> None:
    last, previous = file.with_name("last.ckpt"), file.with_name("previous.ckpt")
    for path in (last, previous):
        path.write_bytes(file.read_bytes())
    assert newest(file.parent) == last
    spoil(last, PLACES[place])
    with pytest.warns(UserWarning, match=r"last\.ckpt cannot be read, it is cut off or damaged; going on"):
        assert newest(file.parent) == previous
    spoil(previous, PLACES[place])
    with pytest.raises(ValueError, match=r"previous\.ckpt cannot be read: cut off or damaged\."):
        newest(file.parent)


def test_a_damaged_checkpoint_that_is_named_is_refused(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    spoil(file, PLACES["weights"])
    said = refusal(train, words(tmp_path / "run", "--ckpt_path", str(file)), capsys)
    assert f"{file} is not a readable checkpoint (archive/data/0 in it is damaged)." in said


# Archives that are more than they seem


def compressed(path: Path) -> None:
    """A hundred times as large as its file."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part + bytes(10**7) if name.endswith("data/0") else part)


def absurd(path: Path) -> None:
    """With a member that says of itself that it has 3 GB."""
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02") + 20
    path.write_bytes(content[:at] + struct.pack("<2I", 3 * 10**9, 3 * 10**9) + content[at + 8 :])


def repeated(path: Path) -> None:
    """With a thousand members that are the same bytes."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/more", bytes(1000))
        archive.filelist += [copy.copy(archive.filelist[-1]) for _ in range(1000)]


@pytest.mark.parametrize("change", [compressed, absurd, repeated])
def test_an_archive_that_is_larger_than_its_file_is_refused_unread(
    file: Path, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(file)
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *_: pytest.fail("it was read"))
    with pytest.raises(
        ValueError, match=r"a\.ckpt is not a readable checkpoint \((parts of it|its parts) are"
    ):
        load(file)


def test_a_large_file_of_zeros_is_refused_at_once(tmp_path: Path) -> None:
    with (tmp_path / "a.ckpt").open("wb") as file:
        file.truncate(10**11)
    with within(5), pytest.raises(ValueError, match=r"a\.ckpt is not a readable checkpoint"):
        load(tmp_path / "a.ckpt")


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_no_checkpoint(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "a.ckpt"
    {"pipe": os.mkfifo, "folder": os.mkdir, "device": lambda path: path.symlink_to("/dev/zero")}[kind](path)
    with within(60):
        said = refusal(train, words(tmp_path / "run", "--ckpt_path", str(path)), capsys)
    assert "a.ckpt is not a readable checkpoint (it is no regular file)." in " ".join(said.split())


# Checkpoints made to do harm


def test_classes_that_the_settings_of_a_checkpoint_name_are_not_built(straight: Path, tmp_path: Path) -> None:
    """Lightning builds a module from such settings where it is asked to."""
    content = load(straight / "checkpoints" / "previous.ckpt")
    content["hyper_parameters"] = {
        "_class_path": "pathlib.Path.touch",
        "_instantiator": "os.mkdir",
        "path": str(tmp_path / "harm"),
        "denoiser": {"class_path": "pathlib.Path.mkdir", "init_args": {"self": str(tmp_path / "harm")}},
    }
    content["hparams_name"] = content["datamodule_hyper_parameters"] = "os.mkdir"
    torch.save(content, tmp_path / "harm.ckpt")
    train(words(tmp_path / "run", "--ckpt_path", str(tmp_path / "harm.ckpt")))
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 6
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("place", ["{}/run/checkpoints/../../theses", "local://{}/theses"])
def test_a_path_in_a_checkpoint_removes_nothing(
    straight: Path, tmp_path: Path, place: str, capsys: pytest.CaptureFixture
) -> None:
    """Lightning removes what was the best before, be it a folder, and believes a file where it is."""
    (tmp_path / "theses").mkdir()
    content, forged = load(straight / "checkpoints" / "previous.ckpt"), place.format(tmp_path)
    score, paths = torch.tensor(1e9), ("best_model_path", "kth_best_model_path", "last_model_path")
    state = {"best_model_score": score, "kth_value": score, "best_k_models": {forged: score}}
    folder, settings = str(tmp_path / "run" / "checkpoints"), {"every_n_train_steps": 1, "save_last": True}
    plain = {"class_path": "ModelCheckpoint", "init_args": {"dirpath": folder, **settings}}
    for key in (*content["callbacks"], ModelCheckpoint(folder, **settings).state_key):
        if "Checkpoint" in key:
            content["callbacks"][key] = {**state, **dict.fromkeys(paths, forged)}
    torch.save(content, tmp_path / "harm.ckpt")
    more = ["--ckpt_path", str(tmp_path / "harm.ckpt"), f"--trainer.callbacks=[{json.dumps(plain)}]"]
    assert "names another place" in refusal(train, words(tmp_path / "run", *more), capsys)
    assert (tmp_path / "theses").exists()


def sharded(path: Path, harm: Harm) -> None:
    """A folder as torch.distributed writes it."""
    path.mkdir()
    (path / "meta.pt").touch()
    (path / ".metadata").write_bytes(pickle.dumps(harm))


@pytest.mark.parametrize("make", [sharded, lambda path, harm: torch.save({"state_dict": harm}, path)])
def test_no_strategy_unpickles_a_checkpoint(
    make: Callable[[Path, Harm], None], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """ModelParallelStrategy reads folders itself, and torch unpickles what tells of their parts."""
    make(tmp_path / "harm.ckpt", Harm(tmp_path / "mark"))
    refusal(train, words(tmp_path / "run", *SHARED, "--ckpt_path", str(tmp_path / "harm.ckpt")), capsys)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("script", [train, infer])
@pytest.mark.parametrize("place", ["run/hpc_ckpt_1.ckpt", "elsewhere/last.ckpt"])
def test_a_checkpoint_that_nobody_asked_for_is_not_read(
    place: str, script: Callable, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning takes one of the first name in a job of SLURM, and that of OnExceptionCheckpoint ever."""
    for name in ("NTASKS", "PROCID", "LOCALID", "NODEID"):
        monkeypatch.setenv(f"SLURM_{name}", str(int(name == "NTASKS")))
    monkeypatch.setattr(AtomicCheckpointIO, "load_checkpoint", lambda *_: pytest.fail("it is read"))
    (tmp_path / place).parent.mkdir()
    torch.save({}, tmp_path / place)
    also = {"class_path": "OnExceptionCheckpoint", "init_args": {"dirpath": str(tmp_path / "elsewhere")}}
    also["init_args"]["filename"] = "last"
    usual = words(tmp_path / "run") if script is train else arguments(prior, tmp_path / "run")
    script([*usual, f"--trainer.callbacks=[{json.dumps(also)}]"])


def test_a_strategy_that_writes_folders_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """No training goes on from such a checkpoint; that should be known before there is one."""
    strategy = "--trainer.strategy={class_path: ModelParallelStrategy}"
    assert "configs/cluster/fsdp.yaml" in refusal(train, words(tmp_path / "run", strategy), capsys)
    assert not (tmp_path / "run").exists()


def test_a_strategy_that_unpickles_files_is_refused() -> None:
    with pytest.raises(ValueError, match="FSDPStrategy is not supported"):
        check_strategy(FSDPStrategy())


def test_weights_are_not_shared_where_torch_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gloo before torch 2.8 raises in the first step that it takes no means."""
    monkeypatch.setattr(checkpoint_io, "SHARES_ON_CPU", False)
    strategy = ModelParallelStrategy(save_distributed_checkpoint=False)
    strategy.parallel_devices = [torch.device("cpu")]
    monkeypatch.setattr(ModelParallelStrategy, "local_rank", 0)
    with pytest.raises(ValueError, match=r"needs torch 2.8 on CPUs"):
        check_strategy(strategy)


def test_what_is_no_checkpoint_is_never_removed(tmp_path: Path) -> None:
    """Callbacks of Lightning, OnExceptionCheckpoint for one, ask for what they may never have written."""
    (tmp_path / "theses.ckpt").mkdir()
    (tmp_path / "theses.ckpt" / "mine").touch()
    (tmp_path / "letter.ckpt").write_text("Dear reader")
    for name in ("theses.ckpt", "letter.ckpt", "nothing.ckpt"):
        AtomicCheckpointIO().remove_checkpoint(tmp_path / name)
    assert (tmp_path / "theses.ckpt" / "mine").exists()
    assert (tmp_path / "letter.ckpt").exists()


def test_a_checkpoint_is_removed(file: Path) -> None:
    AtomicCheckpointIO().remove_checkpoint(file)
    assert not file.exists()


@pytest.mark.parametrize("mapped", [False, True])
def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(mapped: bool, file: Path) -> None:
    """CVE-2026-24747: a torch that believes it reads, and lets the file write, memory beyond the tensor."""
    torch.save({"a": torch.arange(4.0)}, file)
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            number = pickle.BININT2 + struct.pack("<H", 4096)
            for after in (pickle.TUPLE, pickle.TUPLE1):  # numbers in the storage, shape of the tensor
                content = content.replace(pickle.BININT1 + b"\x04" + after, number + after)
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        read_checkpoint(file, mapped=mapped)
