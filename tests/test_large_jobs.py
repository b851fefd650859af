"""Scripts that measure and plan large jobs, on small ones."""

from argparse import Namespace
from pathlib import Path

import pytest
from restorations import ROOT


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def test_records_of_several_writers_are_measured(tmp_path: Path) -> None:
    import records

    page, place = tmp_path / "page.md", tmp_path / "place"
    place.mkdir()
    few = ["--images", "50", "--writers", "3", "--batch", "4"]
    records.main([*few, "--folder", str(place), "--page", str(page)])
    text = page.read_text()
    assert "## Records of 50 images by 3 writers" in text
    assert text.count("| start: read what is done |") == 1
    assert not list(place.iterdir())


def test_a_plan_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import plan

    small = {"image_size": 16, "model_channels": 32, "channel_mult": [1, 2], "attention_resolutions": [8]}
    monkeypatch.setattr(plan, "SETTINGS", plan.SETTINGS | small)
    found = plan.count()
    assert found.parameters == sum(p.numel() for p in plan.UNet(**plan.SETTINGS).parameters())
    assert found.checkpointed < found.activations / 2
    plan.main(["--page", str(tmp_path / "page.md")])
    assert "| FSDP, 8 devices a node |" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize("job", ["training", "restoration"])
def test_a_job_tells_its_images_a_second(job: str, tmp_path: Path) -> None:
    import scaling

    assert scaling.JOBS[job](scaling.WARM + 1, tmp_path) > 0


def test_two_joined_processes_are_compared_with_two_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import scaling

    rates = {"one process": 10.0, "two apart": 16.0, "two joined": 12.0}
    monkeypatch.setattr(scaling, "rate_of", lambda job, way, batches: rates[way])
    scaling.main(["--rounds", "2", "--page", str(tmp_path / "page.md")])
    row = "| restoration | 10.0 | 160 (160 to 160) | 120 (120 to 120) | 75 (75 to 75) |"
    assert row in (tmp_path / "page.md").read_text()


def test_a_plan_of_round_numbers_is_that_of_pencil_and_paper() -> None:
    import plan

    found = plan.Counted(10**9, 10**12, activations=3 * 10**9, checkpointed=10**9, largest=10**8)
    train = Namespace(tflops=1, devices=8, node=2, batch=2, steps=plan.DAY)
    text = plan.training(train, found)
    assert "| DDP | 24.0 | 30.0 | 26.0 |" in text  # 4 GB each: weights, gradients twice, two moments, a mean
    assert "| FSDP, 2 devices a node | 10.8 | 16.8 | 12.8 |" in text
    assert "6.00 s, 8.00 s with checkpoints, and 86400 steps 6.0 or\n8.0 days" in text
    text = plan.restoring(Namespace(tflops=1, calls=2, images=3600, workers=4, picture=1e6), found)
    assert "2.00 s an image,\n900 images a device, 30 minutes in all" in text
    assert "11 GB in 10800 files, 6 new files" in text


@pytest.mark.parametrize(
    ("page", "part"), [("performance", "records"), ("performance", "scaling"), ("cluster", "plan")]
)
def test_the_pages_have_their_parts(page: str, part: str) -> None:
    assert f"<!-- begin {part} -->" in (ROOT / "docs" / f"{page}.md").read_text()
