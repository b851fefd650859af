"""What ships with the package."""

import csv

import pytest

from lightning_inv.files import ASSETS
from lightning_inv.priors import load_prior, read_provenance

CARDS = (ASSETS / "README.md").read_text(encoding="utf-8")
SHIPPED = sorted(path for path in ASSETS.iterdir() if path.name != "README.md")
PRIORS = ["fashion_mnist", "photographs"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_everything_that_ships_has_its_card(path: str) -> None:
    assert f"\n## `{path.name}{'/' if path.is_dir() else ''}`\n" in CARDS


def test_all_that_ships_is_small() -> None:
    assert sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()) < 20e6


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_that_ships_tells_where_it_comes_from(name: str) -> None:
    assert {"steps", "val_loss", "licence", "commit"} <= read_provenance(name).keys()


def test_the_card_credits_every_photograph_that_the_prior_saw() -> None:
    card = CARDS.partition("## `photographs.safetensors`")[2].partition("\n## ")[0]
    with (ASSETS.parents[1] / "benchmarks" / "photographs.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            credits = card.partition(f"{row['licence']}: ")[2].partition(";")[0].partition(" |\n")[0]
            assert row["author"] in credits
            assert row["name"] in credits


@pytest.mark.parametrize("name", PRIORS)
def test_the_card_names_what_the_weights_say(name: str) -> None:
    card = CARDS.partition(f"## `{name}.safetensors`")[2].partition("\n## ")[0]
    told, parameters = read_provenance(name), sum(p.numel() for p in load_prior(name).parameters())
    for part in (f"{told['val_loss']:.4f}", str(told["steps"]), f"{parameters / 1e6:.1f} M parameters"):
        assert part in card
