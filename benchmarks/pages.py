"""Pages that more than one script writes to: each keeps to its own part."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import torch

from lightning_inv.callbacks.manifest import write_json
from lightning_inv.callbacks.report import statistics
from lightning_inv.priors import read_provenance


def write_part(page: Path, name: str, text: str) -> None:
    """Writes the part of a page between the marks of this name; the other parts stay as they are.

    A page of several parts and nothing before them begins with links to them.
    """
    held = page.read_text(encoding="utf-8") if page.exists() else ""
    part, found = marked(name, text), re.search(marked(name, ".*?"), held, re.S)
    whole = (
        held[: found.start()] + part + held[found.end() :] if found else "\n".join(filter(None, [held, part]))
    )
    parts = re.sub(rf"^{marked('contents', '.*?')}\n", "", whole, flags=re.S)
    heads = re.findall(r"^<!-- begin \w+ -->\n#+ (.+)$", parts, re.M)
    links = "\n".join(f"- [{head}](#{anchor(head)})" for head in heads)
    several = len(heads) > 1 and parts.startswith("<!-- begin")
    page.write_text(f"{marked('contents', links)}\n{parts}" if several else parts, encoding="utf-8")


def marked(name: str, text: str) -> str:
    """A part of a page between its marks."""
    return f"<!-- begin {name} -->\n{text.strip()}\n<!-- end {name} -->\n"


def anchor(head: str) -> str:
    """What GitHub calls the place of a heading."""
    return re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")


def environment(accelerator: str = "cpu") -> str:
    """The commit, with a note of changes that it lacks, the version of PyTorch and the device."""

    def git(*words: str) -> str:
        command, here = ["git", "--no-optional-locks", *words], Path(__file__).parent
        return subprocess.run(command, cwd=here, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", ".", "../lightning_inv", "../configs")
    device = f"CPU of {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if accelerator != "cpu" and torch.accelerator.is_available():
        device = torch.get_device_module().get_device_name()
    commit = git("rev-parse", "--short", "HEAD") + (" with uncommitted changes" if changed else "")
    return f"commit {commit}, torch {torch.__version__}, {device}"


def note_environment(folder: Path, accelerator: str) -> None:
    """Adds to ``environments.json`` what is about to compute results, unless it is there already."""
    path = folder / "environments.json"
    known = json.loads(path.read_text()) if path.exists() else []
    new = environment(accelerator)
    write_json(path, [*known, *([] if new in known else [new])])


def noted_environments(folder: Path) -> str:
    """What has computed the results of a folder."""
    return "; ".join(json.loads((folder / "environments.json").read_text()))


def listed(facts: dict[str, Any]) -> str:
    """Facts such as the provenance of a prior, in one line."""
    return ", ".join(f"{key} {x:.4g}" if type(x) is float else f"{key} {x}" for key, x in facts.items())


def told_prior(path: str) -> str:
    """The name of a prior, or of its file, and where its weights come from."""
    return listed({"name": Path(path).name} | read_provenance(path))


def cell(values: list[Any], form: str) -> str:
    """The mean and, unless all values are the same, its standard error."""
    found = statistics(values)
    if found is None:
        return "-"
    error = f" ± {found['standard_error']:{form.lstrip('+')}}" if found["standard_error"] else ""
    return f"{found['mean']:{form}}{error}"


def table(heads: list[str], rows: dict[str, list[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *([label, *cells] for label, cells in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
