"""Scripts that write the pages of results."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from fakes import write_idx
from helpers import tiny_prior

from lightning_inv.priors import save_prior

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def test_conformance_is_told_of_every_solver(tmp_path: Path) -> None:
    import conformance

    page = tmp_path / "page.md"
    conformance.main(
        [
            "--images",
            "2",
            "--samples",
            "19",
            "--budgets",
            "20",
            "--page",
            str(page),
            "--folder",
            str(tmp_path),
        ]
    )
    text = page.read_text()
    committed = (ROOT / "docs" / "conformance.md").read_text()
    for name in (*conformance.SOLVERS, *conformance.BLIND, "exact posterior", "pseudo-inverse"):
        assert f"| {name} |" in text
        assert f"| {name} |" in committed
    assert text.count("## ") == committed.count("## ")
    assert page.with_name("consistency.png").stat().st_size > 1000


def test_a_part_of_a_page_is_replaced_and_others_stay(tmp_path: Path) -> None:
    from pages import write_part

    page = tmp_path / "page.md"
    for name, text in (("a", "one"), ("b", "two"), ("a", "three")):
        write_part(page, name, text)
    assert (
        page.read_text()
        == "<!-- begin a -->\nthree\n<!-- end a -->\n\n<!-- begin b -->\ntwo\n<!-- end b -->\n"
    )


PARTS = ("restoration", "guidance", "comparison", "denoising", "photographs", "seams", "ablation")


def test_a_page_of_several_parts_begins_with_links_to_them(tmp_path: Path) -> None:
    from pages import write_part

    page = tmp_path / "page.md"
    for name, text in (("a", "# One, twice\n\n# Not a part"), ("b", "# Two parts"), ("a", "# One, thrice")):
        write_part(page, name, text)
    head, parts = page.read_text().split("<!-- end contents -->\n\n")
    assert head == "<!-- begin contents -->\n- [One, thrice](#one-thrice)\n- [Two parts](#two-parts)\n"
    assert parts.startswith("<!-- begin a -->")
    assert parts.count("begin") == 2


def test_the_page_of_results_has_all_its_parts() -> None:
    text = (ROOT / "docs" / "results.md").read_text()
    assert all(f"<!-- begin {name} -->" in text for name in PARTS)


def test_the_comparison_tells_of_every_solver_and_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import comparison
    from candidates import CANDIDATES

    monkeypatch.setattr(comparison, "STEPS", (2, 3))
    write_idx(tmp_path / "data", train=1001, test=2)
    page = tmp_path / "page.md"
    words = ["--root", str(tmp_path / "data"), "--folder", str(tmp_path / "results"), "--page", str(page)]
    words += ["--problems", "inpainting", "--limit", "2", "1", "--val_limit", "1", "--paper_limit", "0"]
    comparison.main([*words, "--accelerator", "cpu"])
    text = page.read_text()
    alone = {"tds", "repaint", "ddrm", "pseudo_inverse"}  # without candidates to choose from
    for name in (*CANDIDATES, "reddiff", "ddrm", "plug_and_play", "pseudo_inverse"):
        # twice an overview and a table, and the settings chosen
        assert text.count(f"\n| {name} | ") == (4 if name in alone else 6)
    assert "\n## 2 steps, 2 images\n" in text
    assert "\n## 3 steps, 1 images\n" in text
    assert "2 and 3 steps, on the first 1 images" in text
    assert text.count("| dps | zeta ") == 2
    splits = {"settings_2": "val", "steps_2": "test", "settings_3": "val", "steps_3": "test"}
    for name, split in splits.items():
        tree = yaml.safe_load((tmp_path / "results" / name / "compare.yaml").read_text())
        assert tree["data"]["init_args"]["split"] == split
    comparison.main([*words, "--page_only"])
    assert page.read_text() == text
    words[words.index("2")] = "3"
    with pytest.raises(ValueError, match=r"holds 2 of 3 images|is about \[2\] images, not 3"):
        comparison.main([*words, "--page_only"])
    with pytest.raises(SystemExit):
        comparison.main([*words, "--page_only", "--paper_limits", "8"])


def test_the_best_candidate_of_each_solver_is_found(tmp_path: Path) -> None:
    from candidates import best

    psnr = {"dps_0": 1.0, "dps_1": 3.0, "dps_2": 2.0, "ddnm_plus_0": 5.0, "ddnm_plus_1": None}
    solvers = {name: {"psnr": value and {"mean": value}} for name, value in psnr.items()}
    (tmp_path / "summary.json").write_text(json.dumps({"problems": {"blur": {"solvers": solvers}}}))
    assert best(tmp_path) == {"blur": {"dps": 1, "ddnm_plus": 0}}


def scored(folder: Path, **scores: float | None) -> None:
    """A finished job that chose settings for inpainting: candidate k of a solver has k dB, but for these."""
    from candidates import candidates, measurements

    ((_, _, presets),) = measurements(["inpainting"])
    several = [
        (name, k) for name, found in candidates(presets, 7) if len(found) > 1 for k in range(len(found))
    ]
    psnr = {f"{name}_{k}": scores.get(f"{name}_{k}", scores.get(name, k)) for name, k in several}
    solvers = {
        name: {"psnr": None if value is None else {"mean": float(value)}} for name, value in psnr.items()
    }
    (folder / "summary.json").write_text(json.dumps({"problems": {"inpainting": {"solvers": solvers}}}))


def test_solvers_are_compared_with_the_settings_chosen(tmp_path: Path) -> None:
    from candidates import CANDIDATES
    from comparison import as_chosen

    scored(tmp_path, dps_1=9.0)
    compared = as_chosen(tmp_path, 7)["problems"]["inpainting"]["solvers"]
    assert compared["dps"]["init_args"] == {**CANDIDATES["dps"][1]["init_args"], "steps": 7}
    assert compared["mcg"]["init_args"] == {**CANDIDATES["mcg"][2]["init_args"], "steps": 7}
    assert compared["tds"]["init_args"] == {**CANDIDATES["tds"][0]["init_args"], "steps": 7}


def test_a_solver_none_of_whose_settings_has_a_score_is_told(tmp_path: Path) -> None:
    from comparison import as_chosen

    scored(tmp_path, dps=None)
    with pytest.raises(ValueError, match="no candidate of dps has a PSNR on inpainting"):
        as_chosen(tmp_path, 7)


def test_the_overhead_of_every_solver_is_told(tmp_path: Path) -> None:
    import overhead

    page = tmp_path / "page.md"
    few = ["--batch", "2", "--steps", "1", "--free-steps", "2", "--rounds", "1", "--memory-steps", "2", "3"]
    overhead.main([*few, "--page", str(page)])
    text, committed = page.read_text(), (ROOT / "docs" / "performance.md").read_text()
    for name in overhead.SOLVERS:
        for part in (text, committed):
            assert all(f"| {name} | {problem} |" in part for problem in overhead.PROBLEMS)
            assert part.count(f"| {name} |") == len(overhead.PROBLEMS) + 1  # times, and memory


def test_no_tensor_outlives_the_step_that_made_it() -> None:
    """The most bytes alive at once are those of 30 steps when 90 are made; a grid of times may be longer."""
    import overhead
    from costs import Free
    from memory import LiveBytes

    for name, make in overhead.SOLVERS.items():
        peaks = []
        for steps in (30, 90):
            run = overhead.ours(make, "inpainting", Free(), 4, steps)
            with LiveBytes() as live:
                run.solve()
            peaks.append(live.peak)
        assert peaks[0] > 4 * 3 * 32 * 32 * 4  # it does count
        assert peaks[1] - peaks[0] <= 8 * 60 * 8, name


def test_live_bytes_are_those_that_tensors_hold() -> None:
    from memory import LiveBytes

    with LiveBytes() as live:
        x = torch.zeros(100, requires_grad=True)
        y = (2 * x).exp()  # autograd holds the exponential alone
        view = y[:50]
        assert live.now == 400 * 2
        del y
        assert live.now == 400 * 2
        del view
        assert live.now == 400
    assert live.peak == 400 * 3


def test_seams_are_measured_of_every_photograph(tmp_path: Path) -> None:
    import seams

    save_prior(tmp_path / "prior.safetensors", tiny_prior((3, None, None)), {})
    page = tmp_path / "page.md"
    words = ["--prior", str(tmp_path / "prior.safetensors"), "--size", "24", "40", "--tile", "16"]
    seams.main([*words, "--overlap", "12", "--steps", "2", "--limit", "2", "--page", str(page)])
    rows = [line.split(" | ") for line in page.read_text().splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[2:]] == ["| astronaut", "| chelsea"]
    for _, apart, seeds, *_ in rows[2:]:
        assert float(apart) < 1e-4 < float(seeds)  # the network sees no farther than a quarter of the overlap


def test_seams_are_where_tiles_overlap() -> None:
    import seams

    near = seams.near_seams((1, 5, 8), tile=5, overlap=2)
    assert near.all(0).nonzero().flatten().tolist() == [3, 4]
