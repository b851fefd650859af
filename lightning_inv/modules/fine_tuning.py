"""Training that starts from a prior that exists."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from lightning_inv.denoisers import NetworkDenoiser
from lightning_inv.priors import load_prior


def starting_weights(path: str, denoiser: NetworkDenoiser) -> dict[str, Tensor]:
    """The weights of a prior that has the parametrisation, network and schedule of a denoiser.

    Its images may have another size.

    Args:
        path: The file of the prior, or the name of one that ships with the package.
        denoiser: The denoiser; the file may name classes of the packages that its parts come from.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a prior, or one of another kind; the message names the first difference.
    """
    parts = (denoiser, denoiser.network, denoiser.schedule)
    prior = load_prior(path, [type(part).__module__.split(".")[0] for part in parts])
    for difference in differences(kind(denoiser), kind(prior), "model.denoiser"):
        raise ValueError(f"model.start_from must be a prior of the same kind, but {difference} in {path}.")
    return prior.state_dict()


def kind(denoiser: NetworkDenoiser) -> dict[str, Any]:
    """The recipe of a denoiser without the shape of its images; None of a schedule is resolved."""
    recipe = denoiser.recipe
    arguments = {name: value for name, value in recipe["init_args"].items() if name != "shape"}
    return {**recipe, "init_args": {**arguments, "schedule": denoiser.schedule.recipe}}


def check_kind(denoiser: NetworkDenoiser, held: Any) -> None:
    """Raises ValueError if a checkpoint tells that it is of a denoiser of another kind."""
    for difference in () if held is None else differences(kind(denoiser), held, "model.denoiser"):
        raise ValueError(
            f"it is of another model.denoiser: {difference} there. Give the settings it was trained with, as "
            "in the config.yaml of its folder."
        )


def differences(own: Any, other: Any, where: str) -> Iterator[str]:
    """What two recipes differ in, from the outside in, in the names of the command line.

    Arguments that one of them lacks are passed over: a class may have got them since.
    """
    if not (isinstance(own, dict) and isinstance(other, dict)):
        if own != other:
            yield f"{where} is {own} here and {other}"
        return
    for key in (key for key in own if key in other):
        inner = where if key in ("class_path", "init_args") else f"{where}.{key}"
        yield from differences(own[key], other[key], inner)
