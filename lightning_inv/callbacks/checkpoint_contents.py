"""What a checkpoint must hold for a training to go on from it, and what it may not.

It may come from a stranger: what it says of itself is not believed.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

PARTS = {
    "pytorch-lightning_version": str,
    "state_dict": dict,
    "loops": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
}
"""What a training needs of a checkpoint to go on from it."""
OLDEST = 2
"""Checkpoints of older versions Lightning changes as it reads them, after all that is checked here."""
PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")
"""What Lightning's ``ModelCheckpoint`` calls the paths in its state, besides those of ``best_k_models``."""
PARTS_AT_MOST, DEPTH = 1_000_000, 100
"""The parts of a checkpoint, and its levels: what is unfolded, printed or copied must have an end."""
TIMES = 100
"""How much larger than their file tensors may be that share what they hold, as weights may."""


def check_contents(path: Path, found: dict[str, Any]) -> None:
    """Raises ValueError unless a checkpoint has all that a training needs, and nothing else than it says.

    Args:
        path: Its file, which errors name.
        found: What it holds.
    """
    if found and all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(
            f"{path} is no checkpoint of a training: it holds weights alone. "
            "A training begins with those of a prior's file by model.start_from."
        )
    if lacking := [name for name in PARTS if name not in found]:
        raise ValueError(f"{path} is no checkpoint of a training: it has no {', '.join(lacking)}.")
    for name, kind in PARTS.items():
        if not isinstance(found[name], kind):
            raise ValueError(
                f"{path} is no checkpoint of a training: its {name} is {kind_of(found[name])}, "
                f"not a {kind.__name__}."
            )
    _check_version(path, found)
    _check_tensors(path, found)
    _check_paths(path, found["callbacks"])


def kind_of(value: Any) -> str:
    """What to call a value of the wrong kind."""
    return "None" if value is None else f"a {type(value).__name__}"


def _check_version(path: Path, found: dict[str, Any]) -> None:
    """Raises ValueError where Lightning would take what is told for that of an older version of it."""
    told = found["pytorch-lightning_version"]
    first = re.match(r"(\d{1,4})\.", told)
    if first is None or int(first[1]) < OLDEST:
        raise ValueError(
            f"{path} is no checkpoint of a training: its Lightning must be of version {OLDEST}.0 or above, "
            f"got {told[:20]!r}."
        )
    if old := [name for name in found if str(name).startswith("checkpoint_callback_")]:
        raise ValueError(f"{path} may not be gone on from: {old[0]!r} is of versions before {OLDEST}.0.")


def _check_tensors(path: Path, found: dict[str, Any]) -> None:
    """Raises ValueError where a tensor would take memory for more numbers than the file holds."""
    most, held = TIMES * path.stat().st_size, 0
    for name, value in _tensors(path, found):
        plain = type(value) in (Tensor, nn.Parameter) and value.layout == torch.strided
        if not plain or value.is_meta or value.is_quantized:
            raise ValueError(
                f"{path} may not be gone on from: {name} is no plain tensor, but {value.dtype}, "
                f"{value.layout} on {value.device}."
            )
        size = value.numel() * value.element_size()
        held += size
        if size > value.untyped_storage().nbytes() or held > most:
            raise ValueError(
                f"{path} may not be gone on from: {name} has the shape {tuple(value.shape)}, more than the "
                "file holds."
            )


def _tensors(path: Path, found: Any) -> Iterator[tuple[str, Tensor]]:
    """All tensors, each once, with the keys that lead to it; raises ValueError if parts have no end."""
    parts, seen, count = [("", found, 0)], set(), 0
    while parts:
        name, part, depth = parts.pop()
        count += 1  # a part may be within many, or within itself
        if count > PARTS_AT_MOST or depth > DEPTH:
            raise ValueError(
                f"{path} may not be gone on from: it has more than {PARTS_AT_MOST} parts, with those that it "
                f"repeats, or {DEPTH} levels."
            )
        if isinstance(part, Tensor):
            if id(part) not in seen:
                seen.add(id(part))
                yield name, part
        elif isinstance(part, dict):
            parts += [(f"{name}.{key}".lstrip("."), value, depth + 1) for key, value in part.items()]
        elif isinstance(part, list | tuple | set):
            parts += [(f"{name}.{k}", value, depth + 1) for k, value in enumerate(part)]


def _check_paths(path: Path, states: dict[str, Any]) -> None:
    """Raises ValueError where the state of a callback names checkpoints that may lie elsewhere.

    ``ModelCheckpoint`` removes what its state names if that is below its own folder, but it passes over
    ``..``, over links there, and whatever has a protocol. That a run was moved is no fault.
    """
    for state in (state for state in states.values() if isinstance(state, dict)):
        best = state.get("best_k_models", {})
        if not isinstance(best, dict) or not all(_is_number(score) for score in best.values()):
            raise ValueError(f"{path} is no checkpoint of a training: its best_k_models have no scores.")
        folders = [path.parent, *filter(None, [state.get("dirpath")])]
        for name in filter(None, map(str, [*best, *(state.get(key) or "" for key in PATHS)])):
            if _leads_away(name, folders):
                raise ValueError(f"{path} may not be gone on from: it names another place, {name!r}.")


def _is_number(score: Any) -> bool:
    return isinstance(score, Tensor) and score.numel() == 1


def _leads_away(name: str, folders: Sequence[Any]) -> bool:
    """Whether a path that seems to be below one of some folders, or may seem so, is elsewhere."""
    if ".." in Path(name).parts or ":" in name or "\0" in name:
        return True
    parent, real = Path(os.path.abspath(Path(name).parent)), Path(os.path.realpath(Path(name).parent))
    return any(
        parent.is_relative_to(os.path.abspath(str(folder)))
        and not real.is_relative_to(os.path.realpath(str(folder)))
        for folder in folders
    )
