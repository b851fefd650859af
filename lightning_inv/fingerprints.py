"""Anything that decides a result, as plain data that change when it does."""

import functools
import hashlib
import math
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, NoneType
from typing import Any

import torch
from torch import Tensor, nn


def plain_data(value: Any, above: tuple[int, ...] = ()) -> Any:
    """Settings as plain data: objects by class and attributes, functions by their code.

    Weights and buffers of modules are left to ``weights_digest``.

    Args:
        value: The settings.
        above: The objects that hold them, which are not described once more.

    Raises:
        ValueError: Something cannot be described, so that nobody could tell whether it has changed.
    """
    if id(value) in above:
        return "above"
    return _plain(value, functools.partial(plain_data, above=(*above, id(value))))


@functools.singledispatch
def _plain(value: Any, inner: Any) -> Any:
    """An object by its class and attributes, a module by its children and what else it holds."""
    held = getattr(value, "__dict__", None)
    if held is None:
        if " at 0x" in repr(value):
            raise ValueError(f"{repr(value)[:80]} cannot be described, so a run could not be resumed.")
        return repr(value)
    own = {name: part for name, part in held.items() if not name.startswith("_") and name != "training"}
    if isinstance(value, nn.Module):
        own |= dict(value.named_children())
    return {"class_path": path_of(type(value)), "attributes": inner(own)}


@_plain.register(str)
@_plain.register(bool)
@_plain.register(int)
@_plain.register(NoneType)
def _(value: Any, inner: Any) -> Any:
    return value


@_plain.register(Path)
@_plain.register(range)
@_plain.register(complex)
@_plain.register(torch.dtype)
@_plain.register(torch.device)
def _(value: Any, inner: Any) -> Any:
    return str(value)


@_plain.register
def _(value: float, inner: Any) -> Any:
    return value if math.isfinite(value) else str(value)


@_plain.register
def _(value: dict, inner: Any) -> Any:
    return {str(key): inner(part) for key, part in value.items()}


@_plain.register(list)
@_plain.register(tuple)
def _(value: Any, inner: Any) -> Any:
    return [inner(part) for part in value]


@_plain.register(set)
@_plain.register(frozenset)
def _(value: Any, inner: Any) -> Any:
    return sorted(repr(inner(part)) for part in value)


@_plain.register
def _(value: Tensor, inner: Any) -> Any:
    return [list(value.shape), hashlib.sha256(numbers(value)).hexdigest()]


@_plain.register(type)
@_plain.register(BuiltinFunctionType)
def _(value: Any, inner: Any) -> Any:
    return path_of(value)


@_plain.register
def _(value: functools.partial, inner: Any) -> Any:
    return [inner(value.func), inner(value.args), inner(value.keywords)]


@_plain.register
def _(value: FunctionType, inner: Any) -> Any:
    closed = [cell.cell_contents for cell in value.__closure__ or ()]
    return [path_of(value), code_of(value.__code__), inner(closed), inner(value.__defaults__)]


@_plain.register
def _(value: MethodType, inner: Any) -> Any:
    return [path_of(value), inner(value.__self__)]


def path_of(value: Any) -> str:
    """The import path of a class or function."""
    return f"{value.__module__}.{value.__qualname__}"


def code_of(code: CodeType) -> str:
    """A hash of what a function does."""
    inner = [code_of(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    return hashlib.sha256(code.co_code + repr([inner, code.co_names]).encode()).hexdigest()


def numbers(tensor: Tensor) -> bytes:
    """The numbers of a tensor, bit by bit."""
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return real.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def weights_digest(module: nn.Module) -> str:
    """A hash of the weights and buffers of a module."""
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        found.update(name.encode())
        found.update(numbers(tensor))
    return found.hexdigest()
