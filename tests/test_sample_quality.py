"""Whether samples are new: copies are told from new images."""

import json
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from helpers import GivenImages
from PIL import Image
from torch import Tensor, nn
from trainings import words

from lightning_inv import perceptual
from lightning_inv.callbacks import SampleQuality, sample_quality
from lightning_inv.callbacks.sample_quality import nearest
from lightning_inv.cli import train
from lightning_inv.networks import ConvClassifier
from lightning_inv.noise import generator
from lightning_inv.perceptual import LastFeatures, eight_bits


def draws(count: int, seed: int, side: int = 8) -> Tensor:
    """Images of one law, no two alike."""
    return torch.rand(count, 1, side, side, generator=generator("draws", seed)) * 2 - 1


def data(**settings: bool) -> GivenImages:
    return GivenImages({"train": draws(70, 1), "val": draws(30, 2)}, **settings)


def test_samples_that_are_training_images_are_copies(tmp_path: Path) -> None:
    told = SampleQuality(str(tmp_path)).write(draws(70, 1)[20:25], data())
    assert told["copied"] is True
    assert told["median_distance_of_samples"] < 1e-3
    assert told["median_distance_of_held_out"] > 0.3


def test_samples_that_are_new_images_are_not(tmp_path: Path) -> None:
    told = SampleQuality(str(tmp_path)).write(draws(30, 3), data())
    assert told["copied"] is False
    assert told["median_distance_of_samples"] == pytest.approx(told["median_distance_of_held_out"], rel=0.05)


@pytest.mark.parametrize("flip", [True, False])
def test_mirrored_copies_are_found_where_training_mirrors(flip: bool, tmp_path: Path) -> None:
    mirrored = draws(70, 1)[20:25].flip(-1)
    assert SampleQuality(str(tmp_path)).write(mirrored, data(flip=flip))["copied"] is flip


def test_without_held_out_images_nothing_is_claimed(tmp_path: Path) -> None:
    told = SampleQuality(str(tmp_path)).write(draws(5, 3), GivenImages({"train": draws(70, 1)}))
    assert told["copied"] is told["median_distance_of_held_out"] is None
    assert told["median_distance_of_samples"] > 0.3


def test_the_neighbour_is_the_nearest_of_all_batches() -> None:
    x, images = draws(6, 3), draws(40, 1)
    found = nearest(x, images.split(7))
    distances = (x[:, None] - images).square().flatten(2).mean(2).sqrt()
    torch.testing.assert_close(found.distances, distances.min(1).values, atol=1e-4, rtol=0)
    assert torch.equal(found.images, images[distances.argmin(1)])


def test_large_images_are_compared_by_their_means() -> None:
    """Noise of single pixels, which means take away, does not hide a copy."""
    x = draws(3, 1, 4).repeat_interleave(32, -1).repeat_interleave(32, -2)
    noisy = x + torch.randn(x.shape, generator=generator("noise"))
    assert nearest(noisy, [x]).distances.max() < 0.3


def test_neighbours_are_kept_of_those_that_are_shown() -> None:
    x = draws(20, 1)
    kept = torch.arange(20).flip(0)  # all are found again, in another order
    found = nearest(x, x[kept].split(7), shown=5)
    assert torch.equal(found.images, x[:5])
    assert found.distances.max() < 1e-3


def test_held_out_images_that_are_training_images_tell_nothing(tmp_path: Path) -> None:
    same = GivenImages({"train": draws(30, 1), "val": draws(30, 1)})
    assert SampleQuality(str(tmp_path)).write(draws(5, 3), same)["copied"] is None


def test_samples_are_shown_beside_their_neighbours(tmp_path: Path) -> None:
    SampleQuality(str(tmp_path)).write(draws(70, 1)[20:25], data())
    picture = np.asarray(Image.open(tmp_path / "neighbours.png").convert("L"))
    assert picture.shape == (3 * 9 - 8, 8 * 9 + 1)  # five pairs in rows of four, a line between images
    tiles = [picture[1:9, 1 + 9 * column : 9 + 9 * column] for column in range(8)]
    for sample, neighbour in zip(tiles[::2], tiles[1::2], strict=True):
        assert np.array_equal(sample, neighbour)
    assert not np.array_equal(tiles[0], tiles[2])


def test_a_training_ends_with_both_files(tmp_path: Path) -> None:
    few = ["--quality.count=3", "--quality.steps=2", "--quality.images=50", "--trainer.max_steps=2"]
    train(words(tmp_path / "run", *few))
    told = json.loads((tmp_path / "run" / "quality.json").read_text())
    assert (told["samples"], told["held_out_images"]) == (3, 179)
    assert (tmp_path / "run" / "neighbours.png").is_file()


# FID


def test_the_fid_looks_at_the_features_of_a_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its layer is given pixels, all of them, whose means differ, but not their covariances."""
    monkeypatch.setattr(sample_quality, "ENOUGH", 2)
    classifier = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, 2))
    quality = SampleQuality(str(tmp_path), features=classifier)
    for shift in (0, 0.5):
        found = quality.write(draws(70, 1) + shift, data())["fid"]
        assert found == pytest.approx(64 * shift**2, rel=1e-3, abs=1e-3)


def test_why_there_is_no_fid_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable() -> None:
        raise URLError("no route to host")

    quality = SampleQuality(str(tmp_path))
    told = quality.write(draws(5, 3), data())
    assert (told["fid"], told["why_no_fid"]) == (None, "fewer than 500 samples")
    monkeypatch.setattr(sample_quality, "ENOUGH", 2)
    monkeypatch.setitem(perceptual.NETWORKS, "fid", unavailable)
    told = quality.write(draws(5, 3), data())
    assert told["fid"] is None
    assert "weights could not be downloaded" in told["why_no_fid"]


def test_features_are_what_the_last_linear_layer_is_given() -> None:
    classifier, x = ConvClassifier(3, widths=(8, 16)).eval(), draws(4, 1)
    features = LastFeatures(classifier)(x)
    assert features.shape == (4, 16)
    torch.testing.assert_close(classifier[-1](features).log_softmax(1), classifier(x))
    assert not classifier[-1]._forward_pre_hooks


def test_features_of_what_has_no_linear_layer_are_refused() -> None:
    with pytest.raises(ValueError, match="Conv2d has no linear layer to take features from"):
        LastFeatures(nn.Conv2d(1, 1, 3))


def test_inception_is_given_eight_bits_and_three_channels() -> None:
    x = eight_bits(torch.tensor([-2.0, -1.0, 0.0, 1.0]).view(1, 1, 2, 2))
    assert x.shape == (1, 3, 2, 2)
    assert x[0, 2].flatten().tolist() == [0, 0, 128, 255]


@pytest.mark.parametrize("settings", [{"count": -1}, {"images": 0}])
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"quality\.count must be at least 0 and quality\.images at least 1"):
        SampleQuality(**settings)
