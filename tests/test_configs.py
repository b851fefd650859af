"""Every shipped YAML runs, on small data that the test makes; another class takes its own defaults."""

from pathlib import Path

import pytest
import yaml
from fakes import write_idx, write_pictures
from helpers import refusal, tiny_prior
from PIL import Image

from lightning_inv.cli import CONFIGS, InferCommandLine, infer, train
from lightning_inv.configuration import read_config, same_class
from lightning_inv.modules import Restoration
from lightning_inv.priors import save_prior

QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
SMALL = ["--data.size=16", "--data.sides=[16]", "--data.val_crops=2"]
QUICK = {"steps": 2, "finish": 0}


def names(kind: str) -> list[str]:
    """The configurations of a folder, as in "ddrm" or "paper/ddrm"."""
    found = (CONFIGS / kind).rglob("*.yaml")
    return sorted(path.relative_to(CONFIGS / kind).with_suffix("").as_posix() for path in found)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Fashion-MNIST, a folder of pictures, and a prior in the place of that of photographs."""
    root = tmp_path_factory.mktemp("data")
    write_idx(root, train=200, test=4)
    write_pictures(root / "pictures", count=60, size=(70, 66))
    save_prior(root / "photographs.safetensors", tiny_prior((3, None, None)), {})
    return root


@pytest.mark.parametrize("name", names("problems/photographs"))
def test_a_photograph_of_ones_own_is_restored(name: str, data: Path, tmp_path: Path) -> None:
    """A side that 4 does not divide loses pixels at the border."""
    write_pictures(tmp_path, count=1, size=(33, 25))
    path = CONFIGS / "problems" / "photographs" / f"{name}.yaml"
    solvers = '--model.solvers={"ddrm": {"class_path": "DDRM", "init_args": {"steps": 2}}}'
    own = [f"--data.path={tmp_path / '000.png'}", f"--model.prior={data / 'photographs.safetensors'}"]
    tiles = ["--model.tile=16", "--model.overlap=4"]
    infer([f"--config={path}", f"--folder={tmp_path / 'out'}", *own, *tiles, solvers, *QUIET])
    assert Image.open(tmp_path / "out" / "ddrm" / "000.png").size == (24, 32)


@pytest.mark.parametrize("name", names("priors"))
def test_prior_trains(name: str, data: Path, tmp_path: Path) -> None:
    pictures = [f"--data.root={data / 'pictures'}", *SMALL]
    root = {"fashion_mnist": [f"--data.root={data}"], "folder": pictures, "photos": pictures}
    train(
        [
            f"--config={CONFIGS / 'priors' / name}.yaml",
            f"--folder={tmp_path}",
            *root.get(name, []),
            *QUIET,
            "--trainer.max_steps=2",
            "--trainer.val_check_interval=2",
            "--model.lr_scheduler.warmup=1",
            "--data.batch_size=2",
            "--samples.count=1",
            "--samples.steps=1",
            "--quality.steps=1",
            "--quality.images=4",
            "--baseline.images=4",
            "--trainer.limit_val_batches=1",
        ]
    )
    assert (tmp_path / "prior.safetensors").stat().st_size > 1000
    assert (tmp_path / "samples.png").exists()


def quick(solvers: dict[str, dict]) -> list[str]:
    """Flags that make these solvers take few steps, where they have the setting."""
    from lightning_inv import solvers as known

    fields = {
        name: getattr(known, entry["class_path"]).__dataclass_fields__ for name, entry in solvers.items()
    }
    return [
        f"--model.solvers.{name}.{key}={value}"
        for name in solvers
        for key, value in QUICK.items()
        if key in fields[name]
    ]


def solvers_of(*paths: Path) -> dict[str, dict]:
    found = {}
    for path in paths:
        found = (read_config(path).get("model") or {}).get("solvers", found)
    return found


@pytest.mark.parametrize("name", names("problems"))
def test_problem_is_solved(name: str, data: Path, tmp_path: Path) -> None:
    path = CONFIGS / "problems" / f"{name}.yaml"
    source = read_config(path)["data"]["class_path"]
    where = {
        "FashionMNIST": [f"--data.root={data}", "--data.limit=2"],
        "NoImages": ["--data.count=2"],
        "Photographs": [
            f"--model.prior={data / 'photographs.safetensors'}",
            "--data.size=16",
            "--data.limit=2",
        ],
    }
    steps = quick(solvers_of(CONFIGS / "infer.yaml", path))
    summary = infer([f"--config={path}", f"--folder={tmp_path}", *where[source], *QUIET, *steps])
    assert summary["images"] == 2


MEASURED = [
    name
    for name in names("problems")
    if read_config(CONFIGS / "problems" / f"{name}.yaml")["model"]["measurement"]
]


@pytest.mark.parametrize("name", MEASURED)
def test_presets_explain_what_was_seen(name: str, tmp_path: Path) -> None:
    """The residual of the true image is sigma; a solver that ignored y would be many times off."""
    data = ["--data.size=[64,96]"] if name.startswith("photographs/") else ["--data=SampleImages"]
    words = [f"--config={CONFIGS / 'problems' / name}.yaml", f"--folder={tmp_path}"]
    summary = infer([*words, *data, "--data.limit=1", *QUIET])
    for solver, measures in summary["solvers"].items():
        assert measures["consistency"]["mean"] < 1.5, solver


@pytest.mark.parametrize("name", names("solvers"))
def test_solver_solves(name: str, tmp_path: Path) -> None:
    path = CONFIGS / "solvers" / f"{name}.yaml"
    problem = [f"--config={CONFIGS / 'problems' / 'jpeg.yaml'}"] if "jpeg" in name else []
    words = [*problem, f"--config={path}", "--data=SampleImages", "--data.limit=2", *quick(solvers_of(path))]
    summary = infer([*words, f"--folder={tmp_path}", *QUIET])
    assert set(summary["solvers"]) == set(solvers_of(path))


def test_the_comparison_runs(tmp_path: Path) -> None:
    path = CONFIGS / "compare.yaml"
    tree = read_config(path)["model"]
    few = {name: {"init_args": {"steps": 2}} for name in tree["solvers"] if name != "pseudo_inverse"}
    own = {
        name: {"solvers": {solver: few[solver] for solver in task["solvers"]}}
        for name, task in tree["problems"].items()
        if "solvers" in task
    }
    short = {"include": str(path), "model": {"solvers": few, "problems": own}}
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(short))
    words = [f"--config={tmp_path / 'short.yaml'}", f"--folder={tmp_path / 'run'}", "--data.limit=2", *QUIET]
    told = infer(words)["problems"]
    assert {name: summary["images"] for name, summary in told.items()} == dict.fromkeys(tree["problems"], 2)
    assert all(set(summary["solvers"]) >= {"reddiff", "plug_and_play"} for summary in told.values())
    assert told["deblurring"]["solvers"]["reddiff"]["evaluations"]["mean"] == 2


def test_the_example_of_its_page_is_understood(tmp_path: Path) -> None:
    page = (CONFIGS.parent / "docs" / "comparison.md").read_text()
    (tmp_path / "mine.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    work = command_line(f"--config={tmp_path / 'mine.yaml'}").model.work
    assert {name: list(told.solvers) for name, told in work.items()} == {
        "inpainting": ["ddrm_20", "reddiff"],
        "deblurring": ["ddrm_20", "reddiff"],
    }
    assert work["deblurring"].solvers["reddiff"].weight == 0.12


def command_line(*words: str) -> InferCommandLine:
    words = [*words, "--trainer.logger=false", *QUIET]
    return InferCommandLine(Restoration, CONFIGS / "infer.yaml", words, save_config_callback=None)


def settings(*words: str) -> dict:
    cli = command_line(*words)
    return {name: vars(solver) for name, solver in cli.model.solvers.items()}


DEFAULTS = solvers_of(CONFIGS / "infer.yaml")


SWITCHES = [
    (old, new)
    for old, entry in DEFAULTS.items()
    for new in ("DDRM", "REDDiff", "PlugAndPlay", "PseudoInverse")
    if entry["class_path"] != new
]


@pytest.mark.parametrize(("old", "new"), SWITCHES)
def test_switching_a_class_takes_its_defaults(old: str, new: str) -> None:
    from lightning_inv import solvers as known

    assert settings(f"--model.solvers.{old}={new}")[old] == vars(getattr(known, new)())


def test_later_files_and_flags_win(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("model:\n  samples: 2\n  measurement:\n    sigma: 0.2\n")
    two.write_text("model:\n  measurement:\n    sigma: 0.3\n  seed: 5\n")
    cli = command_line(f"--config={one}", "--config", str(two), "--model.seed=7")
    assert (cli.model.samples, cli.model.measurement.sigma, cli.model.seed) == (2, 0.3, 7)


def test_saved_configuration_repeats_the_run(tmp_path: Path) -> None:
    first = infer(["--data.limit=1", f"--folder={tmp_path / 'a'}", *QUIET, *quick(DEFAULTS)])
    again = infer([f"--config={tmp_path / 'a' / 'config.yaml'}", f"--folder={tmp_path / 'b'}"])
    for solver, measures in first["solvers"].items():
        assert again["solvers"][solver]["psnr"] == measures["psnr"]


def test_another_data_source_begins_anew() -> None:
    data = command_line("--data=Digits", "--data.limit=3").datamodule
    assert (type(data).__name__, data.split, data.limit, data.batch_size) == ("Digits", "test", 3, 16)


def test_a_class_inside_a_class_begins_anew() -> None:
    cli = command_line(
        f"--config={CONFIGS / 'problems' / 'box_inpainting.yaml'}",
        "--data=SampleImages",
        "--model.measurement.operator.mask=RandomMask",
    )
    assert cli.model.measurement.operator.mask.keep == 0.5


def test_a_file_that_names_no_solvers_leaves_those_of_the_demo(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("model: {samples: 2}\n")
    assert settings(f"--config={tmp_path / 'more.yaml'}") == settings()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("DDRM", "lightning_inv.solvers.ddrm.DDRM", True),
        ("lightning_inv.solvers.DDRM", "lightning_inv.solvers.ddrm.DDRM", True),
        ("torch.optim.AdamW", "AdamW", True),
        ("mine.DDRM", "mine.DDRM", True),
        ("mine.DDRM", "DDRM", False),
        ("mine.DDRM", "lightning_inv.solvers.DDRM", False),
        ("DDRM", "REDDiff", False),
    ],
)
def test_class_paths_are_compared_by_package_and_name(one: str, other: str, same: bool) -> None:
    assert same_class(one, other) == same_class(other, one) == same


def test_same_class_keeps_its_arguments() -> None:
    cli = command_line(
        f"--config={CONFIGS / 'problems' / 'box_inpainting.yaml'}",
        "--data=SampleImages",
        "--model.measurement.operator.mask=BoxMask",
        "--model.measurement.operator.mask.width=5",
    )
    mask = cli.model.measurement.operator.mask
    assert (mask.height, mask.width) == (12, 5)


BELOW = "model: {solvers: {a: {class_path: DDRM, init_args: {steps: 5, eta: 0.5}}, b: DDRM, c: REDDiff}}"


def refined(tmp_path: Path, solvers: str) -> dict:
    """The solvers of a file that includes another and says this of its solvers."""
    (tmp_path / "below.yaml").write_text(BELOW)
    (tmp_path / "above.yaml").write_text(f"include: below.yaml\nmodel: {{solvers: {solvers}}}\n")
    return settings(f"--config={tmp_path / 'above.yaml'}")


def test_a_file_refines_the_solvers_that_it_includes(tmp_path: Path) -> None:
    found = refined(tmp_path, "{a: {init_args: {steps: 7}}, b: {init_args: {eta: 0.1}}, c: null}")
    assert list(found) == ["a", "b"]
    assert (found["a"]["steps"], found["a"]["eta"]) == (7, 0.5)
    assert (found["b"]["steps"], found["b"]["eta"]) == (20, 0.1)


def test_a_file_refines_the_terms_that_it_includes() -> None:
    (solver,) = command_line(f"--config={CONFIGS / 'problems' / 'asymmetric.yaml'}").model.solvers.values()
    assert list(solver.terms) == ["mirror"]
    assert solver.terms["mirror"].constraint.recipe["init_args"] == {"axis": "left_right", "broken": True}


def test_a_solver_that_is_refined_by_a_wrong_name_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "below.yaml").write_text("model: {solvers: {reddiff: REDDiff}}")
    (tmp_path / "above.yaml").write_text(
        "include: below.yaml\nmodel: {solvers: {redif: {init_args: {steps: 7}}}}"
    )
    said = refusal(infer, [f"--config={tmp_path / 'above.yaml'}"], capsys)
    assert "model.solvers.redif has init_args, but no class_path. did you mean 'reddiff'?" in said
