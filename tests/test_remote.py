"""Images that are read as they are needed, from a folder and from a bucket on this machine."""

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from buckets import BUCKET, opened, remote, served, written
from helpers import attached
from restorations import ROOT, arguments, assert_same
from trainings import CONFIG, assert_same_training

from lightning_inv.cli import infer, train
from lightning_inv.data import ImageFolder, RemoteImages

pytest.importorskip("litdata")

WORDS = ["--data.size=8", "--data.channels=1", "--data.val_fraction=0.2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("remote") / "images")


@pytest.fixture
def bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """The same files in a bucket."""
    with opened(folder, monkeypatch) as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, folder: Path) -> str:
    """The place of the pictures."""
    if request.param == "folder":
        return str(folder)
    request.getfixturevalue("bucket")
    return BUCKET


@pytest.mark.parametrize("split", RemoteImages.splits)
def test_images_names_and_splits_are_those_of_the_folder(folder: Path, root: str, split: str) -> None:
    images, expected = remote(root).dataset(split), ImageFolder(str(folder), 8, 1, 0.2).dataset(split)
    assert len(expected) >= 2
    assert list(images.names) == list(expected.names)
    for one, other in zip(images, expected, strict=True):
        assert (one["name"], one["index"]) == (other["name"], other["index"])
        assert torch.equal(one["image"], other["image"])
        assert images.shapes(one["index"]) == {"image": other["image"].shape}


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_the_folder(folder: Path, root: str, workers: int) -> None:
    """The first image is read before workers are forked, as in training."""
    settings = {"batch_size": 4, "num_workers": workers, "flip": True}
    data = attached(remote(root, **settings), global_step=1)
    other = attached(ImageFolder(str(folder), 8, 1, 0.2, **settings), global_step=1)
    assert torch.equal(data.dataset("train")[0]["image"], other.dataset("train")[0]["image"])
    for loader in ("train_dataloader", "val_dataloader", "predict_dataloader"):
        batches = list(zip(getattr(data, loader)(), getattr(other, loader)(), strict=True))
        assert batches
        for one, expected in batches:
            assert one.keys() == expected.keys()
            assert torch.equal(one["image"], expected["image"])
            assert one["name"] == expected["name"]


@pytest.mark.parametrize("loader", ["train_dataloader", "val_dataloader", "predict_dataloader"])
def test_images_of_a_batch_are_read_at_once(folder: Path, loader: str) -> None:
    data, asked = attached(remote(str(folder), batch_size=4)), []
    read = data.files.read
    data.files.read = lambda places: asked.append(len(places)) or read(places)
    assert [len(batch["index"]) for batch in getattr(data, loader)()] == asked


def test_a_process_that_forks_others_begins_no_thread(
    bucket: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that ends holds a lock of OpenSSL, which is held for ever in a process that is forked then."""
    images, begun, start = remote(BUCKET, num_workers=2).dataset("all"), [], threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda thread: begun.append(thread.name) or start(thread))
    assert len(images.__getitems__([0, 1, 2])) == 3
    assert [name for name in begun if "process_request" not in name] == []


def test_workers_read_by_obstore_though_their_parent_has_read(folder: Path) -> None:
    """It begins threads, which a fork does not copy: those of other tests are not in a new process."""
    script = (
        "import buckets as t, helpers, pathlib, pytest\n"
        "with pytest.MonkeyPatch.context() as patch, t.opened(pathlib.Path({!r}), patch) as server:\n"
        "    data = helpers.attached(t.remote(t.BUCKET, batch_size=4, num_workers=2))\n"
        "    data.dataset('train')[0]\n"
        "    first = len(server.asked)\n"
        "    list(data.train_dataloader())\n"
        "    print([['Boto3' in client for _, client in part] for part in (server.asked[:first], "
        "server.asked[first:])])\n"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", script.format(str(folder))],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    parent, workers = json.loads(done.stdout.lower())
    assert all(parent)
    assert parent
    assert workers
    assert not any(workers)


def test_servers_without_encryption_are_read_by_boto3(
    bucket: ThreadingHTTPServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with served(bucket.buckets, monkeypatch) as server:
        image = remote(BUCKET).dataset("all")[3]["image"]
        assert all("Boto3" in client for _, client in server.asked)
    assert torch.equal(image, ImageFolder(str(folder), 8, 1).dataset("all")[3]["image"])


def test_a_worker_that_is_spawned_reads_what_the_first_process_read(root: str) -> None:
    images = remote(root).dataset("all")
    assert torch.equal(pickle.loads(pickle.dumps(images))[2]["image"], images[2]["image"])


def test_nothing_is_written_where_the_images_are(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    remote(str(folder)).dataset("all")[0]
    assert sorted(folder.rglob("*")) == before


# Training and restoration


def training(data: str, root: str, folder: Path, *more: str) -> list[str]:
    config = folder.parent / "config.yaml"
    config.write_text(CONFIG.replace("class_path: Digits", f"class_path: {data}").replace("300", "4"))
    return ["--config", str(config), "--folder", str(folder), f"--data.root={root}", *WORDS, *more]


@pytest.mark.parametrize("workers", [0, 2])
def test_training_is_that_of_the_folder_though_it_is_interrupted(
    folder: Path, root: str, tmp_path: Path, workers: int
) -> None:
    train(training("ImageFolder", str(folder), tmp_path / "folder"))
    more = [f"--data.num_workers={workers}"]
    train(training("RemoteImages", root, tmp_path / "straight", *more))
    train(training("RemoteImages", root, tmp_path / "run", *more, "--trainer.max_steps=2"))
    train(training("RemoteImages", root, tmp_path / "run", *more, "--ckpt_path=last"))
    assert_same_training(tmp_path / "straight", tmp_path / "folder")
    assert_same_training(tmp_path / "run", tmp_path / "folder")


def test_restorations_are_those_of_the_folder(prior: Path, folder: Path, root: str, tmp_path: Path) -> None:
    for data, place in (("ImageFolder", str(folder)), ("RemoteImages", root)):
        words = [f"--data={data}", f"--data.root={place}", "--data.size=8", "--data.channels=1"]
        infer(arguments(prior, tmp_path / data, *words))
    assert_same(tmp_path / "ImageFolder", tmp_path / "RemoteImages")


def test_shards_limits_and_what_is_finished_are_left_out(root: str) -> None:
    data = remote(root, limit=7, shard="1/2")
    data.finished = [frozenset({3})]
    assert data.todo() == [1, 5]


def test_the_fingerprint_reads_no_image(bucket: ThreadingHTTPServer) -> None:
    images = remote(BUCKET).dataset("all")
    before = images.fingerprint()
    assert not bucket.asked
    bucket.buckets["mine"]["set/images/0.png"] += b"more"
    assert remote(BUCKET).dataset("all").fingerprint() != before
