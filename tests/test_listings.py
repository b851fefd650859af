"""Lists of images that are read as they are needed, and images that are not as they were listed."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from buckets import BUCKET, opened, remote, served, written
from damage import within
from helpers import attached, names_of, refusal
from pictures import BROKEN, noise_pictures, write
from restorations import arguments

from lightning_inv.cli import infer
from lightning_inv.data import ImageFolder

pytest.importorskip("litdata")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("remote") / "images")


@pytest.fixture
def bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    with opened(folder, monkeypatch) as server:
        yield server


def test_the_listing_is_believed_until_it_is_deleted(tmp_path: Path) -> None:
    folder, listing = noise_pictures(tmp_path / "images"), tmp_path / "lists" / "mine.json"
    assert names_of(remote(folder, listing=str(listing))) == ["0", "1", "2"]
    write(tmp_path / "images" / "3.png")
    assert names_of(remote(folder, listing=str(listing))) == ["0", "1", "2"]
    listing.unlink()
    assert names_of(remote(folder, listing=str(listing))) == ["0", "1", "2", "3"]
    assert list(listing.parent.iterdir()) == [listing]


def test_the_order_of_the_listing_does_not_matter(folder: Path, tmp_path: Path) -> None:
    listing = tmp_path / "list.json"
    names = names_of(remote(str(folder), listing=str(listing)))
    known = json.loads(listing.read_text())
    listing.write_text(json.dumps({**known, "files": dict(reversed(known["files"].items()))}))
    assert names_of(remote(str(folder), listing=str(listing))) == names


def test_processes_that_list_at_once_have_the_same_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finds an image more than the one before; the first to finish is believed."""
    sizes, listing = {}, str(tmp_path / "list.json")

    def grow(_: Any) -> dict[str, int]:
        sizes[f"{len(sizes)}.png"] = 1
        return dict(sizes)

    monkeypatch.setattr("lightning_inv.data.storage.StoredImages._listed", grow)
    monkeypatch.setattr(Path, "exists", lambda _: False)  # none sees that another has begun
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: tuple(names_of(remote("s3://a", listing=listing))), range(8)))
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["list.json"]


# Refusals


def remove(path: Path) -> None:
    path.unlink()


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def spoil(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


WHY_GONE = r"images/1\.png: .*If images were removed or replaced, delete .*list\.json and start again"


@pytest.mark.faults
@pytest.mark.parametrize(
    ("harm", "workers", "why"),
    [
        (remove, 1, WHY_GONE),
        (remove, 0, WHY_GONE),
        (grow, 0, r"images/1\.png has changed: it was listed with \d+ bytes, and has \d+\. If .*list\.json"),
        (spoil, 0, r"images/1\.png cannot be read as an image: it is none of PNG"),
    ],
)
def test_a_file_that_is_no_longer_what_was_listed_is_named(
    tmp_path: Path, harm: Callable[[Path], None], workers: int, why: str
) -> None:
    settings = {"listing": str(tmp_path / "list.json"), "num_workers": workers}
    folder = noise_pictures(tmp_path / "images")
    assert len(remote(folder, **settings).dataset("all")) == 3
    harm(tmp_path / "images" / "1.png")
    with pytest.raises((OSError, ValueError), match=why):
        list(attached(remote(folder, **settings)).predict_dataloader())


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "size", "why"),
    [("a", 1, "'a' in .*list.json is no image"), ("a.png", 1e999, "list.json is no list of images")],
)
def test_a_list_from_a_stranger_names_images_alone(tmp_path: Path, name: str, size: float, why: str) -> None:
    listing, folder = tmp_path / "list.json", noise_pictures(tmp_path / "images")
    listing.write_text(json.dumps({"root": folder, "files": {name: size}}))
    with pytest.raises(ValueError, match=why):
        remote(folder, listing=str(listing)).dataset("all")


@pytest.mark.faults
def test_a_pipe_among_listed_images_is_named(tmp_path: Path) -> None:
    listing, folder = tmp_path / "list.json", noise_pictures(tmp_path / "images")
    assert names_of(remote(folder, listing=str(listing)))
    (tmp_path / "images" / "1.png").unlink()
    os.mkfifo(tmp_path / "images" / "1.png")
    with within(20), pytest.raises(OSError, match=r"1\.png is no regular file"):
        list(attached(remote(folder, listing=str(listing), num_workers=0)).predict_dataloader())


@pytest.mark.faults
@pytest.mark.parametrize("workers", [0, 1])
def test_an_object_that_is_gone_is_named(bucket: ThreadingHTTPServer, workers: int) -> None:
    data = attached(remote(BUCKET, num_workers=workers))
    assert "1" in names_of(data)
    del bucket.buckets["mine"]["set/images/1.png"]
    with pytest.raises(OSError, match=r"s3://mine/set/images/1\.png: .*start again, so that they are listed"):
        list(data.predict_dataloader())


@pytest.mark.faults
@pytest.mark.parametrize("name", ["../x.png", "a//b.png", "./x.png", "x#1.png", "x?.png"])
def test_names_that_are_no_paths_are_refused(bucket: ThreadingHTTPServer, name: str) -> None:
    bucket.buckets["mine"][f"set/images/{name}"] = b""
    with pytest.raises(ValueError, match=r"is no path within it|has a \? or #"):
        remote(BUCKET).dataset("all")


REFUSALS = [
    (["--data.root={}/nowhere"], "there is no folder {}/nowhere"),
    (["--data.root={}"], "no image (.bmp, "),
    (["--data.root=s3://none/images"], "the files of s3://none/images cannot be listed: "),
    (["--data.root=s3://mine/none"], "no image (.bmp, "),
    (
        ["--data.root=ftp://mine/none"],
        "data.root must be a folder, s3://... or gs://..., got ftp://mine/none",
    ),
    (["--data.root=s3://mine/set/images", "--data.listing={}/bad.json"], "bad.json is no list of images"),
    (["--data.root=s3://mine/set/images", "--data.listing={}/other.json"], "lists the images of x, not of "),
    (["--data.root=s3://mine/set/images", "--data.size=0"], "data.size must be positive"),
    (["--data.root=s3://mine/set/images", "--data.val_fraction=1"], "data.val_fraction must be in [0, 1)"),
]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(("words", "why"), REFUSALS, ids=lambda value: value[-1])
def test_infer_names_the_mistake(
    prior: Path, tmp_path: Path, words: list[str], why: str, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "bad.json").write_text('{"files": []}')
    (tmp_path / "other.json").write_text('{"root": "x", "files": {"a.png": 1}}')
    words = ["--data=RemoteImages", "--data.size=8", *(word.format(tmp_path) for word in words)]
    assert why.format(tmp_path) in refusal(infer, arguments(prior, tmp_path / "results", *words), capsys)


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with served({}, monkeypatch) as server:
        address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(OSError, match=rf'files of s3://mine cannot be listed: .*"{address}/mine'):
        remote("s3://mine").dataset("all")


def test_credentials_that_are_missing_are_asked_for(
    bucket: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(OSError, match="cannot be listed: Unable to locate credentials"):
        remote(BUCKET).dataset("all")


def test_without_litdata_the_command_that_installs_it_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "litdata", None)
    with pytest.raises(ImportError, match=r"pip install 'lightning_inv\[remote\]'"):
        remote(str(folder)).dataset("all")


@pytest.mark.faults
@pytest.mark.parametrize("damage", BROKEN)
def test_broken_images_are_refused_as_in_folders(tmp_path: Path, damage: Callable[[Path], Path]) -> None:
    damage(tmp_path / "a.png")
    said = []
    for data in (ImageFolder(str(tmp_path), 8, 1, verify=False), remote(str(tmp_path))):
        with pytest.raises(ValueError, match=r"a\.png cannot be read as an image: ") as caught:
            data.dataset("all")[0]
        said.append(str(caught.value))
    assert said[0] == said[1]
