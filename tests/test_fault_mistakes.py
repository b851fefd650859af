"""Settings by mistake: what would not count, or fail later, is told before any work."""

from pathlib import Path

import pytest
from helpers import refusal
from trainings import words

from lightning_inv.cli import train
from lightning_inv.configuration import read_config

pytestmark = pytest.mark.faults
TWICE = {
    "above": "model: {}\nseed_everything: 1\nmodel: {}\n",
    "below": "model: {prior: a, 'prior': b}\n",
    "within a list": "trainer: {callbacks: [{class_path: Timer, class_path: Timer}]}\n",
}


@pytest.mark.parametrize("place", TWICE)
def test_a_key_that_is_given_twice_is_refused_in_a_file_and_in_one_that_it_names(
    place: str, tmp_path: Path
) -> None:
    """The last would count, and nobody would see that the first does not."""
    (tmp_path / "a.yaml").write_text(TWICE[place])
    (tmp_path / "b.yaml").write_text(f"include: {tmp_path / 'a.yaml'}\n")
    (tmp_path / "c.yaml").write_text(f"model: {{denoiser: {tmp_path / 'a.yaml'}}}\n")
    for name in "abc":
        with pytest.raises(ValueError, match=r"a\.yaml.* the key '(model|prior|class_path)' is given twice"):
            read_config(tmp_path / f"{name}.yaml")


def test_a_key_that_stands_beside_what_an_alias_brings_is_given_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\n")
    assert read_config(tmp_path / "a.yaml")["c"] == {"x": 3, "y": 4}


@pytest.mark.parametrize(
    ("callback", "told"),
    [
        ("SpikeDetection", "SpikeDetection is not supported"),
        (
            "{class_path: StochasticWeightAveraging, init_args: {swa_lrs: 0.1, swa_epoch_start: 1}}",
            "give StochasticWeightAveraging the argument device, such as null",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_callback_that_a_training_fails_with_is_told_before_it_begins(
    callback: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "a.yaml").write_text(f"trainer: {{callbacks: [{callback}]}}\n")
    said = refusal(train, words(tmp_path / "run", f"--config={tmp_path / 'a.yaml'}"), capsys)
    assert f"trainer.callbacks: {told}" in " ".join(said.split())
