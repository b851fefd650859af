"""A prior is one file: weights as safetensors, and in its header all that is needed to use them.

The header holds the recipe of the denoiser (parametrisation, network, schedule, shape), the range of the
images and the provenance of the weights, as text. Nothing is unpickled, and only classes of trusted packages
are built.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from lightning_inv.denoisers import Denoiser
from lightning_inv.files import read_weights, shipped, write_weights
from lightning_inv.limits import limited
from lightning_inv.networks import Network
from lightning_inv.recipes import build
from lightning_inv.schedules import Schedule

FORMAT = "lightning_inv.prior/1"
LONGEST_RECIPE = 2**15
"""The characters that the recipe in a header may have."""


def save_prior(
    path: str | Path,
    denoiser: Denoiser,
    provenance: dict[str, Any],
    half: bool = False,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Writes a prior to one file, whole or not at all.

    Args:
        path: The file, by custom ``prior.safetensors``.
        denoiser: The denoiser.
        provenance: Where the weights come from, plain data.
        half: Write weights in 16 bits; they are read as 32.
        weights: The weights; those that the denoiser holds if None.

    Raises:
        ValueError: The denoiser holds what text cannot describe.
        OSError: The file could not be written.
    """
    try:
        header = {
            "format": FORMAT,
            "denoiser": json.dumps(denoiser.recipe),
            "range": json.dumps([-1.0, 1.0]),
            "provenance": json.dumps(provenance),
        }
    except TypeError as error:
        raise ValueError(f"{type(denoiser).__name__} cannot be described in a file: {error}.") from None
    weights = denoiser.state_dict() if weights is None else weights
    weights = {name: tensor.half() if half else tensor for name, tensor in weights.items()}
    write_weights(Path(path), header, weights)


def load_prior(path: str | Path, packages: Sequence[str] = ()) -> Denoiser:
    """Reads a prior, frozen and in evaluation mode.

    Args:
        path: A file that ``train.py`` or ``save_prior`` wrote, or the name of a prior that ships with the
            package.
        packages: Packages, besides ``lightning_inv``, whose classes the file may name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, is not a prior, or names what is not trusted.
    """
    header, weights = _read(path)
    if header.get("format") != FORMAT:
        found = repr(header.get("format"))[:100]
        raise ValueError(f"{path} is not a prior of this version: format {found}, not {FORMAT!r}.")
    try:
        denoiser = _built(header["denoiser"], weights, packages)
        denoiser.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except (KeyError, ValueError, RuntimeError) as error:
        reason = textwrap.shorten(str(error)[:4000], 400, placeholder=" ...")  # torch lists every weight
        raise ValueError(f"{path} does not describe a prior that can be built: {reason}") from None
    return denoiser.eval().requires_grad_(False)


def _built(text: str, weights: Mapping[str, Tensor], packages: Sequence[str]) -> Denoiser:
    """The denoiser of a recipe, if it is not much larger than these weights, which are not loaded yet."""
    if len(text) > LONGEST_RECIPE:
        raise ValueError(f"its recipe has {len(text)} characters, more than {LONGEST_RECIPE}.")
    recipe, held = json.loads(text), sum(tensor.numel() for tensor in weights.values())
    # Far above what networks need: some register a weight twice, or hold tables that are in no file.
    with limited(numbers=4 * held + 2**26, parts=10 * len(weights) + 10_000):
        denoiser = build(recipe, (Denoiser, Network, Schedule), packages)
    if not isinstance(denoiser, Denoiser):
        raise ValueError(f"{recipe['class_path']!r} is not a Denoiser.")
    return denoiser


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Where the weights of a prior come from.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated or not a prior.
    """
    header, _ = _read(path)
    try:
        told = json.loads(header.get("provenance", "{}"))
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path} holds damaged provenance: {error}.") from None
    if not isinstance(told, dict):
        raise ValueError(f"{path} holds damaged provenance: {str(told)[:100]!r} has no names.")
    return told


def _read(path: str | Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    path = shipped(path)
    if not path.is_file():
        raise FileNotFoundError(f"no prior at {path}; train one with train.py, or give the path of one.")
    return read_weights(path)
