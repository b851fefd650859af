"""Configurations that a stranger may have written: nothing in them is run, and none keeps a process busy."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch
from damage import within
from helpers import refusal, tiny_prior
from hostile import Harm
from safetensors.torch import save_file

from lightning_inv.check import main as check
from lightning_inv.cli import infer, train
from lightning_inv.configuration import LARGEST, VALUES, read_config
from lightning_inv.priors import FORMAT, save_prior
from lightning_inv.trusted import trusted_by

pytestmark = pytest.mark.faults

TOUCH = {"command": "touch mark"}


PLACES = {
    "operator": {"model": {"measurement": {"operator": "PAYLOAD"}}},
    "solver": {"model": {"solvers": {"mine": "PAYLOAD"}}},
    "prior": {"model": {"prior": "PAYLOAD"}},
    "function": {
        "model": {"solvers": {"mine": {"class_path": "REDDiff", "init_args": {"weighting": "PATH"}}}}
    },
    "optimizer": {
        "model": {"solvers": {"mine": {"class_path": "REDDiff", "init_args": {"optimizer": "PAYLOAD"}}}}
    },
    "weighting": {
        "model": {"solvers": {"mine": {"class_path": "REDDiff", "init_args": {"weighting": "PAYLOAD"}}}}
    },
    "hook": {"trainer": {"callbacks": [{"class_path": "LambdaCallback", "init_args": {"setup": "PAYLOAD"}}]}},
    "data": {"data": "PAYLOAD"},
    "callback": {"trainer": {"callbacks": ["PAYLOAD"]}},
    "logger": {"trainer": {"logger": "PAYLOAD"}},
    "plugin": {"trainer": {"plugins": ["PAYLOAD"]}},
    "strategy": {"trainer": {"strategy": "PAYLOAD"}},
}
PAYLOADS = {
    "os.system": TOUCH,
    "posix.system": TOUCH,
    "subprocess.Popen": {"args": ["touch", "mark"]},
    "builtins.exec": {"source": "open('mark', 'w')"},
    "builtins.open": {"file": "mark", "mode": "w"},
    "torch.hub.load": {"repo_or_dir": ".", "model": "mark", "source": "local"},
    "torch.load": {"f": "mark"},
    "stray_module.Stray": {},
    "lightning_inv.callbacks.manifest.shutil.rmtree": {"path": "."},  # what a trusted module imports
    "lightning.fabric.utilities.cloud_io._load": {"path_or_url": "harm.ckpt", "weights_only": False},
    "lightning_inv.priors.load_prior": {"path": "stray.safetensors", "packages": ["stray_module"]},
    "lightning_inv.files.own_name": {},
}


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of a short run of infer.py, in a folder with a module whose import leaves a mark."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = f"open({str(tmp_path / 'mark')!r}, 'w')\nclass Stray: pass\n"  # wherever it is imported
    (tmp_path / "stray_module.py").write_text(module)
    save_prior("prior.safetensors", tiny_prior(), {})
    stray = {"class_path": "stray_module.Stray", "init_args": {}}
    header = {"format": FORMAT, "denoiser": json.dumps(stray), "range": "[-1, 1]", "provenance": "{}"}
    save_file({"x": torch.zeros(1)}, "stray.safetensors", header)
    torch.save(Harm(tmp_path / "mark"), "harm.ckpt")
    (tmp_path / "own.yaml").write_text("model: {solvers: {ddrm: DDRM}}")
    return [
        *("--config", "own.yaml", "--config", "stranger.yaml", "--model.prior", "prior.safetensors"),
        *("--data.limit", "1", "--folder", "out", "--trainer.accelerator", "cpu"),
    ]


def placed(tree: object, payload: object, path: str) -> object:
    """The tree with the payload in its place."""
    if isinstance(tree, dict):
        return {key: placed(part, payload, path) for key, part in tree.items()}
    if isinstance(tree, list):
        return [placed(part, payload, path) for part in tree]
    return {"PAYLOAD": payload, "PATH": path}.get(tree, tree)


@pytest.mark.parametrize("path", PAYLOADS)
@pytest.mark.parametrize("place", PLACES)
def test_a_class_outside_the_packages_is_neither_built_nor_imported(
    place: str, path: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    payload = {"class_path": path, "init_args": PAYLOADS[path]}
    (tmp_path / "stranger.yaml").write_text(json.dumps(placed(PLACES[place], payload, path)))
    if place == "prior":  # no flag in its place
        where = words.index("--model.prior")
        del words[where : where + 2]
    told = refusal(infer, words, capsys)
    assert path.rpartition(".")[2] in told
    assert not (tmp_path / "mark").exists()
    assert "stray_module" not in sys.modules
    assert not (tmp_path / "out").exists()


def test_the_file_of_a_prior_is_not_taken_for_a_module(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "prior.safetensors").rename(tmp_path / "stray_module.safetensors")
    (tmp_path / "stranger.yaml").write_text(
        "model: {prior: stray_module.safetensors}\ntrainer: {max_steps: x}"
    )
    where = words.index("--model.prior")
    del words[where : where + 2]
    assert "max_steps" in refusal(infer, words, capsys)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("text", ["packages: [stray_module]", "packages+: [stray_module]", "include: b.yaml"])
def test_files_cannot_vouch_for_packages(
    text: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """What a key with + holds is added by jsonargparse."""
    (tmp_path / "b.yaml").write_text("packages+: [stray_module]")
    (tmp_path / "stranger.yaml").write_text(f"{text}\nmodel: {{prior: stray.safetensors}}")
    where = words.index("--model.prior")
    told = refusal(infer, words[:where] + words[where + 2 :], capsys)
    assert "files cannot vouch for packages; name them yourself: --packages [stray_module]." in told
    assert not (tmp_path / "mark").exists()


def test_the_saved_configuration_of_a_training_is_a_strangers_too(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "out").mkdir()
    schedule = "model: {lr_scheduler: {class_path: lightning_inv.modules.CosineLR}}"
    (tmp_path / "out" / "config.yaml").write_text(f"data: {{class_path: stray_module.Stray}}\n{schedule}")
    told = refusal(train, ["--data.root=pictures", "--folder=out", "--ckpt_path=auto"], capsys)
    assert "may not name 'stray_module.Stray'" in told
    assert not (tmp_path / "mark").exists()


def test_a_check_of_operators_imports_what_its_command_line_names_alone(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "operator.yaml").write_text("class_path: stray_module.Stray")
    with pytest.raises(SystemExit):
        check(["--operator", "operator.yaml"])
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("flags", "packages"),
    [
        (["--model.solvers.mine", "my_file.Mine"], ["my_file"]),
        (["--model.solvers.mine=my_file.Mine"], ["my_file"]),
        (['--model.solvers={"a": {"class_path": "one.A"}, "b": {"class_path": "two.B"}}'], ["one", "two"]),
        (["--model.optimizer", "torch.optim.SGD"], ["torch.optim.SGD"]),
        (["--folder", "os.results", "--data.path", "my_file.png"], []),
        (["--packages", "[one, two]"], ["one", "two"]),
        (["--packages=one"], ["one"]),
        (["--data.root", "../pictures", "--model.seed", "3", "--trainer.max_time", "a/b.c"], []),
        (["--model.prior", "here.safetensors"], []),
        (["--model.solvers={"], []),
    ],
)
def test_a_command_line_vouches_for_the_packages_that_it_names(
    flags: list[str], packages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.safetensors").touch()
    assert trusted_by(flags) == packages


LAUGHS = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
HOSTILE = {
    "references that unfold without end": (LAUGHS, f"more than {VALUES} values"),
    "a part that holds itself": ("model: &m {solvers: *m}", f"more than {VALUES} values, or"),
    "more than fits": ("a: " + "1" * LARGEST, f"it has more than {LARGEST} bytes"),
    "lists in lists": ("a: " + "[" * 20_000, "is not YAML"),
    "a number of ten thousand digits": ("a: " + "9" * 10_000, "is not YAML"),
    "an object of Python": ("a: !!python/object/apply:os.system ['touch mark']", "is not YAML"),
    "keys that are no text": ("model: {1: 2}", "the key 1 is no text"),
    "a key that is a list": ("? [a, b]\n: 1", "is not YAML"),
    "a date that is none": ("a: 2020-99-99", "is not YAML"),
    "control characters": ("a: \0", "is not YAML"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_configuration_is_named_in_one_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, reason = HOSTILE[kind]
    (tmp_path / "hostile.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"the configuration hostile.yaml .*{reason}"):
        read_config("hostile.yaml")
    assert not (tmp_path / "mark").exists()


def test_a_file_names_no_other_by_the_flag_of_the_command_line(tmp_path: Path) -> None:
    """The library would read that one unchecked."""
    (tmp_path / "a.yaml").write_text("config: other.yaml")
    with pytest.raises(ValueError, match=r"config in .*a\.yaml is no setting; .* by include\."):
        read_config(tmp_path / "a.yaml")


@pytest.mark.parametrize("place", ["model", "trainer", "data", "model.measurement", "model.solvers.mine"])
@pytest.mark.parametrize(("text", "reason"), [(LAUGHS, "values, or"), ("a: " + "1" * LARGEST, "bytes")])
def test_a_file_that_a_setting_names_has_the_limits_of_configurations(
    text: str, reason: str, place: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "named.yaml").write_text(text)
    tree = "named.yaml"
    for key in reversed(place.split(".")):
        tree = {key: tree}
    (tmp_path / "stranger.yaml").write_text(json.dumps(tree))
    with within(20):
        told = refusal(infer, words, capsys)
    assert reason in told


@pytest.mark.parametrize(
    "text", ["include: pipe", "model: {problems: {a: pipe}}", "model: {measurement: pipe}"]
)
def test_a_pipe_in_a_configuration_is_not_read(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads it waits for ever."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    (tmp_path / "a.yaml").write_text(text)
    with within(20), pytest.raises(ValueError, match=r"pipe.* is no regular file|pipe is a pipe"):
        read_config("a.yaml")


NESTED = {
    "hook": {"trainer": {"callbacks": [{"class_path": "LambdaCallback", "init_args": {"setup": "PAYLOAD"}}]}},
    "network": {
        "model.solvers.mine": {
            "class_path": "PlugAndPlay",
            "init_args": {
                "terms": {
                    "a": {
                        "constraint": {
                            "class_path": "Classifier",
                            "init_args": {"label": 0, "network": "PAYLOAD"},
                        }
                    }
                }
            },
        }
    },
}
"""Where a module may stand, or what can be called: Restoration is both."""


@pytest.mark.parametrize("place", NESTED)
def test_a_class_of_ours_is_not_told_to_trust_a_package(
    place: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    solvers = {"a": {"class_path": "PseudoInverse"}}
    told = {"prior": "stray.safetensors", "packages": ["stray_module"], "solvers": solvers}
    payload = {"class_path": "lightning_inv.modules.Restoration", "init_args": told}
    (tmp_path / "stranger.yaml").write_text(json.dumps(placed(NESTED[place], payload, "")))
    assert "files cannot vouch for packages" in refusal(infer, words, capsys)
    assert not (tmp_path / "mark").exists()


INTERPOLATED = "${oc.env:NOT_SET,lightning_inv.cli.infer}"


@pytest.mark.filterwarnings("ignore:(?s).*Unable to serialize")  # jsonargparse, of a text that is no path
@pytest.mark.parametrize(
    "name",
    [
        "lightning_inv.cli.infer",
        "lightning_inv.data.Digits.setup",
        "lightning_inv.callbacks.report",
        INTERPOLATED,
    ],
)
@pytest.mark.parametrize("callback", ["ImagesPerSecond: clock", "LambdaCallback: setup"])
def test_a_function_that_a_file_names_is_not_called(
    callback: str, name: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    kind, argument = callback.split(": ")
    callbacks = [{"class_path": kind, "init_args": {argument: name}}]
    (tmp_path / "stranger.yaml").write_text(json.dumps({"trainer": {"callbacks": callbacks}}))
    told = "Unexpected import path" if name == INTERPOLATED else "may not name functions to call"
    assert told in refusal(infer, words, capsys)


def test_a_configuration_that_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match=f"it has more than {LARGEST} bytes"):
        read_config("/dev/zero")
