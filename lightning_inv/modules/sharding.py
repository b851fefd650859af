"""Weights that devices share: each holds a part of every tensor, and all of a block only while it runs."""

from collections.abc import Iterable, Mapping

from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from lightning_inv.networks import Network


def shard(network: Network, mesh: DeviceMesh) -> None:
    """Shares out the weights of a network, block by block.

    Args:
        network: The network, its weights contiguous.
        mesh: All devices; those of a row share the weights, and all rows have the same.
    """
    for block in network.blocks():
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh)


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor that this device holds."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all numbers of tensors are finite, of those that this device holds."""
    return all(bool(local(tensor.detach()).isfinite().all()) for tensor in tensors)


def whole(tensor: Tensor) -> Tensor:
    """A tensor with the parts of all devices, which must all ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights with the parts of all devices, on the CPU; all devices must ask for them."""
    return {name: whole(tensor.detach()).cpu() for name, tensor in weights.items()}
