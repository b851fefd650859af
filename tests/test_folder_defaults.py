"""What is chosen for a folder of pictures, and that the prior trained so restores."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import refusal
from pictures import save, text

from lightning_inv.cli import CONFIGS, TrainCommandLine, infer, train
from lightning_inv.folder_defaults import (
    as_text,
    choose,
    computes_in_16_bits,
    configured,
    short,
    workers_for,
)
from lightning_inv.folders import Folder, look

QUIET = [
    "--trainer.accelerator=cpu",
    "--trainer.logger=false",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
]
FEW_STEPS = [f"--model.solvers.{name}.steps=2" for name in ("ddrm", "reddiff", "plug_and_play")]
QUICK = [
    *QUIET,
    "--trainer.max_steps=2",
    "--model.noise_levels=1",
    "--model.denoiser.network.widths=[4,4]",
    "--model.denoiser.network.depths=[1,1]",
    "--samples.count=1",
    "--samples.steps=1",
]


def pictures(folder: Path, sizes: list[tuple[int, int]], channels: int = 1, name: str = "{}.png") -> Path:
    """A folder of noise, 8 bits."""
    for i, size in enumerate(sizes):
        values = np.random.default_rng(i).random((channels, *size))
        save(folder / name.format(i), values, "uint8")
    return folder


def settings(folder: Folder, **more: Any) -> dict[str, Any]:
    """The choice for a folder, by the names of flags."""
    return {short(choice.key): choice.value for choice in choose(folder, 100, **more)}


WHOLE = {"data.class_path": "ImageFolder", "data.batch_size": 16}
CROPS = {"data.class_path": "ImageCrops"}
SHAPE, PATCH = "model.denoiser.shape", "model.denoiser.network.patch"
CASES = {
    "small and alike": ([(1, 28, 28)] * 40, {**WHOLE, "data.size": [28, 28], SHAPE: [1, 28, 28], PATCH: 1}),
    "no square": ([(3, 40, 64)] * 40, {**WHOLE, "data.size": [40, 64], SHAPE: [3, 40, 64], PATCH: None}),
    "few": ([(1, 8, 8)] * 9, {"data.batch_size": 4, "data.val_fraction": None}),
    "one": ([(1, 8, 8)], {"data.batch_size": 1, "data.val_fraction": 0.0}),
    "large": ([(3, 480, 640)] * 40, {**CROPS, "data.sides": [48, 64, 96], SHAPE: [3, None, None]}),
    "a little larger": ([(3, 66, 80)] * 40, {**CROPS, "data.sides": [48, 64], "data.size": 64}),
    "small and different": ([(1, 30, 20), (1, 20, 40)], {**CROPS, "data.sides": [20], "data.size": 20}),
    "one small among large": ([(1, 9, 9)] + [(1, 200, 100)] * 40, {**CROPS, "data.sides": [48, 64, 96]}),
    "several channels": ([(5, 28, 28)] * 40, {**WHOLE, "data.channels": 5, SHAPE: [5, 28, 28]}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_choice_follows_from_the_pictures(name: str) -> None:
    shapes, expected = CASES[name]
    found = settings(Folder(Path("pictures"), len(shapes), shapes, shapes[0][0]))
    assert {key: found.get(key) for key in expected} == expected


def test_the_size_that_is_asked_for_is_that_of_the_prior() -> None:
    found = settings(Folder(Path("pictures"), 40, [(1, 28, 28)] * 40, 1), size=(32, 24))
    assert (found["data.size"], found[SHAPE]) == ([32, 24], [1, 32, 24])


@pytest.mark.parametrize("half", [True, False])
def test_the_precision_is_one_that_the_machine_has(monkeypatch: pytest.MonkeyPatch, half: bool) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": half}, raising=False)
    assert computes_in_16_bits("cpu") is half


@pytest.mark.parametrize(
    ("devices", "cores", "workers"), [(0, 16, 0), (1, 16, 8), (4, 16, 3), (8, 8, 1)], ids=str
)
def test_cores_that_do_not_train_read_pictures(
    monkeypatch: pytest.MonkeyPatch, devices: int, cores: int, workers: int
) -> None:
    monkeypatch.setattr("torch.accelerator.is_available", lambda: devices > 0)
    monkeypatch.setattr("torch.accelerator.device_count", lambda: devices)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert workers_for("auto") == workers
    assert workers_for("cpu") == 0


@pytest.mark.parametrize(("steps", "warmup"), [(20000, 300), (3000, 300), (200, 20), (2, 0)])
def test_a_short_training_has_a_short_warm_up(steps: int, warmup: int) -> None:
    choices = choose(Folder(Path("pictures"), 2, [(1, 30, 20), (3, 20, 40)], 3), steps)
    assert {short(key): value for key, value, _ in choices}["model.lr_scheduler.warmup"] == warmup


def test_what_the_user_gives_is_not_told() -> None:
    folder = Folder(Path("pictures"), 2, [(1, 30, 20), (3, 20, 40)], 3)
    told = as_text(folder, choose(folder, 100), {"data.sides": "[16]"})
    assert "2 pictures in pictures, of 30 x 20 to 20 x 40 pixels" in told
    assert "--data.channels 3 (1 of 2 are in colour)" in told
    assert "--trainer.max_steps 100 (" in told
    assert "--data.sides" not in told


def test_what_is_told_can_be_given_as_flags() -> None:
    folder = Folder(Path("my pictures"), 2, [(1, 30, 20), (3, 60, 50)], 3)
    told = as_text(folder, choose(folder, 100), {})
    assert "--data.sides [20] (" in told
    assert "--folder 'runs/my pictures' (" in told


# Folders


def test_pictures_are_rgb_if_one_of_them_is(tmp_path: Path) -> None:
    pictures(tmp_path, [(8, 9)] * 3)
    pictures(tmp_path, [(8, 9)], 3, "colour {}.png")
    assert look(tmp_path) == Folder(tmp_path, 4, [(1, 8, 9)] * 3 + [(3, 8, 9)], 3)


def test_the_channels_that_are_asked_for_are_taken(tmp_path: Path) -> None:
    assert look(pictures(tmp_path, [(8, 9)], 3), 1).channels == 1


def test_a_broken_picture_is_left_to_those_who_read_it(tmp_path: Path) -> None:
    text(tmp_path / "a.png")
    assert look(pictures(tmp_path, [(8, 9)])).shapes == [(1, 8, 9)]


def test_of_many_pictures_a_sample_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_inv.folders.LOOKED_AT", 2)
    folder = look(pictures(tmp_path, [(8, 8 + i) for i in range(5)]))
    assert (folder.count, folder.shapes) == (5, [(1, 8, 8), (1, 8, 11)])


@pytest.mark.parametrize(
    ("sizes", "channels", "message"),
    [
        ([], 1, r"no image \(.*\) in {} or below\."),
        ([(8, 7)], 1, r"{}/0\.tif has 8 x 7 pixels; to train on, it needs 8 x 8 at least\."),
        ([(8, 8)], 5, r"but {}/grey/0\.tif has 1 and {}/0\.tif has 5; only grey and RGB become each other\."),
    ],
)
def test_a_folder_that_makes_no_prior_is_refused(
    tmp_path: Path, sizes: list, channels: int, message: str, capsys: pytest.CaptureFixture
) -> None:
    pictures(tmp_path, sizes, channels, "{}.tif")
    if channels > 3:
        pictures(tmp_path / "grey", [(8, 8)], 1, "{}.tif")
    said = refusal(train, ["--data.root", str(tmp_path)], capsys)
    assert re.search(message.replace("{}", str(tmp_path)), said)


# The command line


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "digits.yaml"),
        (["--trainer.max_steps", "5"], "digits.yaml"),
        (["--data", "FashionMNIST", "--data.root", "nowhere"], "digits.yaml"),
        (["--config", "own.yaml", "--data.root", "nowhere"], "own.yaml"),
    ],
)
def test_only_a_folder_alone_is_looked_at(words: list[str], name: str) -> None:
    with configured(words, CONFIGS / "priors") as (completed, told):
        assert Path(completed[1]).name == name
    assert completed[-len(words) :] == words or not words
    assert told == ""


def trained(folder: Path, *words: str) -> TrainCommandLine:
    """Two steps on a folder."""
    return train(["--data.root", str(folder), *QUICK, *words])


def test_the_prior_of_small_pictures_restores_as_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    trained(pictures(tmp_path / "small", [(8, 9)] * 6))
    words = shlex.split(capsys.readouterr().out.rpartition("restore with it: python infer.py ")[2])
    assert infer([*words, *QUIET, *FEW_STEPS, "--data.limit=1"])["images"] == 1


def test_what_reads_the_pictures_reads_them_again_as_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Those of numbers up to 100, with a file among them that is none."""
    monkeypatch.chdir(tmp_path)
    for i in range(6):
        np.save(tmp_path / f"{i}.npy", 100 * np.random.default_rng(i).random((8, 9), dtype=np.float32))
    text(tmp_path / "notes.png")
    trained(tmp_path, "--data.value_range=[0,100]", "--data.skip_broken=true")
    words = shlex.split(capsys.readouterr().out.rpartition("restore with it: python infer.py ")[2])
    assert infer([*words, *QUIET, *FEW_STEPS, "--data.limit=1"])["images"] == 1


def test_a_run_goes_on_with_its_settings_though_the_folder_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = pictures(tmp_path / "small", [(8, 9)] * 6)
    trained(folder)
    pictures(folder, [(70, 90)], 3, "new {}.png")
    cli = train(["--data.root", str(folder), "--ckpt_path=last", "--trainer.max_steps=3", *QUIET])
    assert (cli.trainer.global_step, cli.model.denoiser.shape) == (3, (1, 8, 9))
    assert "Settings: those of runs/small/config.yaml; flags win." in capsys.readouterr().out
    assert cli.model.lr_scheduler is not None
    assert cli.config.model.lr_scheduler.init_args.steps == 3


@pytest.mark.parametrize("channels", [1, 3])
def test_the_prior_of_other_pictures_restores_one_of_any_size_as_is_told(
    channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    cli = trained(pictures(tmp_path / "photos", [(20, 30), (40, 20)], channels), "--data.val_crops=1")
    assert cli.model.denoiser.shape == (channels, None, None)
    words = shlex.split(capsys.readouterr().out.rpartition("restore with it: python infer.py ")[2])
    assert words[-1] == "PICTURE"
    own = str(next((tmp_path / "photos").iterdir()))
    assert infer([*words[:-1], own, *QUIET, *FEW_STEPS])["images"] == 1


def test_one_picture_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained(pictures(tmp_path / "one", [(70, 90)]), "--data.batch_size=2")
    assert (tmp_path / "runs" / "one" / "prior.safetensors").exists()


def test_pictures_of_several_channels_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cli = trained(pictures(tmp_path / "five", [(20, 30), (40, 20)], 5, "{}.tif"), "--data.val_crops=1")
    assert cli.model.denoiser.shape == (5, None, None)
    assert (tmp_path / "runs" / "five" / "samples.png").exists()


def test_flags_win(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos", [(20, 30), (40, 20)], 3)
    cli = trained(
        folder, "--data.channels=1", "--data.sides=[8]", "--data.val_crops=1", f"--folder={tmp_path}/r"
    )
    assert (cli.datamodule.channels, cli.datamodule.sides, cli.model.denoiser.shape[0]) == (1, [8], 1)
    assert (tmp_path / "r" / "prior.safetensors").exists()
