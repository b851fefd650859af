"""Perceptual measures with small networks in the place of those that would be downloaded."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchmetrics.image.lpip
from comparisons import words
from damage import within
from PIL import Image
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from lightning_inv import perceptual
from lightning_inv.cli import infer
from lightning_inv.perceptual import NETWORKS, Perceptual, read


class Means(nn.Module):
    """Sees the mean of each channel and their differences from left to right; takes 8-bit images alone."""

    num_features = 4

    def forward(self, x: Tensor) -> Tensor:
        assert x.dtype == torch.uint8
        assert x.shape[1] == 3
        x = x.double() / 255
        return torch.cat([x.mean((2, 3)), (x[..., 1:] - x[..., :-1]).abs().mean((1, 2, 3))[:, None]], 1)


SETS = {
    "fid": partial(FrechetInceptionDistance, Means()),
    "kid": partial(KernelInceptionDistance, Means()),
}


def unavailable() -> None:
    raise URLError("no route to host")


def write(folder: Path, noise: float, mode: str = "L") -> list[Path]:
    folder.mkdir()
    rng, found = torch.Generator().manual_seed(0), []
    for i in range(12):
        level = torch.rand(1, 1, 1, generator=rng)
        x = (level + noise * torch.randn(40, 40, 1, generator=rng)).clamp(0, 1).expand(-1, -1, 3)
        Image.fromarray((x * 255).byte().numpy()).convert(mode).save(folder / f"{i}.png")
        found.append(folder / f"{i}.png")
    return found


@pytest.mark.parametrize("name", ["fid", "kid"])
def test_a_process_that_measures_does_not_wait_for_others(name: str) -> None:
    """Only the first of several processes does: a metric that gathers from all would wait for ever."""
    assert not NETWORKS[name](Means())._to_sync


def test_sets_that_differ_more_are_farther_apart(tmp_path: Path) -> None:
    truth, near, far = (write(tmp_path / str(noise), noise) for noise in (0.0, 0.05, 0.5))
    measures = Perceptual(networks=SETS)
    found = [measures.measure(files, truth)[0] for files in (truth, near, far)]
    for name in SETS:
        values = [told[name]["mean"] for told in found]
        assert values == sorted(values)
        assert values[2] > values[1] + 1e-3
    assert found[0]["fid"]["mean"] == pytest.approx(0, abs=1e-6)
    assert measures.measure(near, truth)[0] == found[1]  # nothing is left of the other sets


def test_lpips_is_given_images_in_its_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is that of torchmetrics with random features; images out of range would be refused."""
    untrained = partial(torchmetrics.image.lpip._NoTrainLpips, pnet_rand=True)
    monkeypatch.setattr(torchmetrics.image.lpip, "_NoTrainLpips", untrained)
    measures = Perceptual(networks={"lpips": NETWORKS["lpips"]})
    assert not measures.metrics["lpips"]._to_sync
    truth, far = write(tmp_path / "a", 0.0), write(tmp_path / "b", 0.5)
    metric, seen = measures.metrics["lpips"], []
    metric.net.register_forward_pre_hook(lambda _, images: seen.extend(images[:2]))
    same, other = (measures.measure(files, truth)[0]["lpips"] for files in (truth, far))
    assert same["mean"] == pytest.approx(0, abs=1e-6)
    assert other["mean"] > 0.001
    assert other["standard_error"] > 0
    assert min(x.min() for x in seen) < -0.9
    assert max(x.max() for x in seen) > 0.9


def test_grey_pictures_have_three_channels(tmp_path: Path) -> None:
    grey, colour = (write(tmp_path / mode, 0.3, mode)[0] for mode in ("L", "RGB"))
    assert read(grey).shape == (3, 40, 40)
    assert (read(grey).int() - read(colour).int()).abs().max() <= 1


def test_what_cannot_be_had_is_told_once(
    prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    asked = []
    networks = SETS | {"lpips": lambda: asked.append(True) or unavailable()}
    monkeypatch.setattr(perceptual, "NETWORKS", networks)
    infer(words(prior, tmp_path / "run", "--compare.perceptual=true"))
    said, text = capsys.readouterr().out, (tmp_path / "run" / "comparison.md").read_text()
    note = "Not measured: LPIPS; weights could not be downloaded (<urlopen error no route to host>)."
    assert said.count(note) == text.count(note) == 3  # once a problem
    assert "| FID | KID |" in text
    assert len(asked) == 1


def test_images_of_several_sizes_are_compared_one_by_one(tmp_path: Path) -> None:
    """Batches are of one size each."""
    files = write(tmp_path / "images", 0.1)
    for i, path in enumerate(files):
        with Image.open(path) as image:
            image.crop((0, 0, 40, 20 + 10 * (i % 3))).save(path)
    seen = [tuple(restored.shape[2:]) for restored, _ in perceptual.pairs(files, files, "cpu")]
    assert seen == [(20, 40), (30, 40), (40, 40)]


def test_too_few_images_are_no_crash(tmp_path: Path) -> None:
    files = write(tmp_path / "a", 0.1)[:1]
    found, missing = Perceptual(networks=SETS).measure(files, files)
    assert "fid" not in found
    assert missing["fid"]


@pytest.mark.faults
@pytest.mark.parametrize(
    "spoil", [os.mkfifo, Path.mkdir, Path.touch, lambda path: path.write_bytes(b"BM" * 40)]
)
@pytest.mark.parametrize("place", ["restored", "truth"])
def test_a_picture_that_cannot_be_read_is_named(
    place: str, spoil: Callable[[Path], object], tmp_path: Path
) -> None:
    files = {name: write(tmp_path / name, 0.1) for name in ("restored", "truth")}
    files[place][3].unlink()
    spoil(files[place][3])
    with within(20):
        _, missing = Perceptual(networks=SETS).measure(**files)
    assert all(why.startswith(f"{files[place][3]} cannot be read") for why in missing.values())
    assert missing.keys() == SETS.keys()
