"""Runs that each restore a part of the images, in one folder, without speaking to one another."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import refusal
from restorations import arguments, assert_same, lines, recorded

from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.cli import infer, missing
from lightning_inv.data.base import Shard


def shard(prior: Path, folder: Path, part: str, *more: str) -> dict:
    return infer(arguments(prior, folder, f"--data.shard={part}", *more))


def test_shards_together_do_what_one_run_does(
    prior: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert shard(prior, tmp_path, "1/3") == {}
    assert recorded(tmp_path).keys() == {1, 4}
    assert not (tmp_path / "summary.json").exists()
    assert shard(prior, tmp_path, "0/3") == {}
    assert "shard 0/3 is done, of 3 1 are not." in capsys.readouterr().out
    assert shard(prior, tmp_path, "2/3")["images"] == 5
    assert len(lines(tmp_path)) == 5
    assert_same(finished, tmp_path)


def test_a_shard_leaves_alone_what_other_numbers_of_shards_have_done(prior: Path, tmp_path: Path) -> None:
    shard(prior, tmp_path, "0/2")
    before = recorded(tmp_path)
    assert before.keys() == {0, 2, 4}
    for part in ("0/3", "1/3", "2/3"):
        shard(prior, tmp_path, part)
    assert len(lines(tmp_path)) == 5
    assert before.items() <= recorded(tmp_path).items()


def test_more_shards_than_images_are_no_error(prior: Path, tmp_path: Path) -> None:
    assert shard(prior, tmp_path, "7/9") == {}
    assert not recorded(tmp_path)


def test_shards_of_other_settings_are_refused_even_before_an_image_is_done(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    shard(prior, tmp_path, "7/9")
    told = refusal(infer, arguments(prior, tmp_path, "--data.shard=0/9", "--model.seed=3"), capsys)
    assert "differs in: seed" in told
    assert "overwrite" not in told


def test_a_shard_does_not_begin_anew_where_others_may_be_at_work(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = arguments(prior, tmp_path / "new", "--data.shard=0/9", "--output.overwrite=true")
    told = refusal(infer, words, capsys)
    assert f"no output.overwrite with data.shard: others may be at work in {tmp_path / 'new'}" in told
    assert not (tmp_path / "new" / "manifest.json").exists()


def test_shards_that_were_done_of_fewer_images_wait_for_the_others(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for part in ("0/2", "1/2"):
        shard(prior, tmp_path, part, "--data.limit=3")
    assert shard(prior, tmp_path, "0/2") == {}
    assert "shard 0/2 is done; of 5 images" in capsys.readouterr().out
    assert shard(prior, tmp_path, "1/2")["images"] == 5


@pytest.mark.parametrize("text", ["3/3", "1", "-1/2", "1/0", "a/b", "1/2/3", "0.5/2", ""])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"data\.shard must be i/n"):
        Shard.read(text)


def left(folder: Path, **done: list[int]) -> int:
    """How many of four images are to do, given those that each problem has done."""
    for name, indices in done.items():
        Manifest(folder / name).add({"index": index} for index in indices)
    return missing(folder, SimpleNamespace(work=done), range(4), retries=0)


def test_images_are_to_do_until_all_problems_have_done_them(tmp_path: Path) -> None:
    assert left(tmp_path, blurred=[0, 1, 2, 3], hidden=[0]) == 3


def test_images_beyond_the_limit_do_not_count(tmp_path: Path) -> None:
    assert left(tmp_path, blurred=[0, 1, 7, 9]) == 2
