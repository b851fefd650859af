"""Works out what a large prior needs on many devices and writes its part of docs/cluster.md.

    python benchmarks/plan.py

Operations and activations are counted by running the network on PyTorch's device without data, ``meta``;
what a device does in a second is assumed, see ``--tflops``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from pages import table, write_part
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from lightning_inv.networks import UNet

SETTINGS = {
    "image_size": 256,
    "in_channels": 3,
    "out_channels": 6,
    "model_channels": 256,
    "channel_mult": [1, 1, 2, 2, 4, 4],
    "num_res_blocks": 2,
    "attention_resolutions": [32, 16, 8],
    "num_head_channels": 64,
}
"""The unconditional network of 256 x 256 pixels of Dhariwal & Nichol (2021)."""
GB, DAY = 1e9, 86400


class Counted(NamedTuple):
    """What a network takes, for one image."""

    parameters: int
    flops: int
    """Of a forward pass."""
    activations: int
    """Bytes kept for the gradient, in 16 bits."""
    checkpointed: int
    """The same where only the inputs of blocks are kept, with the largest block computed again."""
    largest: int
    """The parameters of the largest block."""


def count() -> Counted:
    """Counts, without computing anything."""
    side = SETTINGS["image_size"]
    with torch.device("meta"):
        network, x, t = UNet(**SETTINGS), torch.zeros(1, SETTINGS["in_channels"], side, side), torch.zeros(1)
    parameters = [sum(p.numel() for p in part.parameters()) for part in (network, *network.blocks())]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x, t)
    return Counted(parameters[0], counter.get_total_flops(), *kept(network, x, t), max(parameters[1:]))


def kept(network: UNet, x: Tensor, t: Tensor) -> tuple[int, int]:
    """The bytes kept for a gradient in 16 bits, without and with checkpoints."""
    seen = {storage(p) for p in network.parameters()}
    sizes, entered, inside = [], [], []

    def note(tensor: Tensor) -> Tensor:
        if storage(tensor) not in seen:
            seen.add(storage(tensor))
            sizes.append(2 * tensor.numel())
        return tensor

    def run(block: nn.Module, *inputs: Tensor) -> Tensor:
        before, result = len(sizes), block(*inputs)
        entered.append(2 * inputs[0].numel())
        inside.append(sum(sizes[before:]))
        return result

    network.run = run
    with saved_tensors_hooks(note, lambda tensor: tensor):
        held = network(x, t)
    del held  # not before: storages that are freed could be taken for others
    return sum(sizes), sum(sizes) - sum(inside) + sum(entered) + max(inside)


def storage(tensor: Tensor) -> int:
    """What a tensor shares with its views."""
    return tensor.untyped_storage()._cdata


def main(args: Sequence[str] | None = None) -> None:
    """Counts, then writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--tflops", type=float, default=150, help="what a device does in bf16, 1e12 a second")
    parser.add_argument("--devices", type=int, default=64, help="of the training")
    parser.add_argument("--node", type=int, default=8, help="devices of a node, which share the weights")
    parser.add_argument("--batch", type=int, default=4, help="images in a step, on each device")
    parser.add_argument("--steps", type=int, default=500_000, help="of the training")
    parser.add_argument("--images", type=int, default=1_000_000, help="to restore")
    parser.add_argument("--workers", type=int, default=1000, help="devices that restore them")
    parser.add_argument("--calls", type=int, default=100, help="of the network, for one image")
    parser.add_argument("--picture", type=float, default=120e3, help="bytes of a picture")
    parser.add_argument("--page", type=Path, default=Path("docs/cluster.md"), help="the page to write")
    options = parser.parse_args(args)
    write_part(
        options.page, "plan", "\n\n".join([training(options, found := count()), restoring(options, found)])
    )


def training(options: argparse.Namespace, found: Counted) -> str:
    """The plan of a training."""
    each, batch = 4 * found.parameters / GB, options.batch
    states = {"weights, gradients, two moments, one running mean": 5 * each}
    ddp = states | {"gradients on their way (DDP)": each}
    fsdp = {name: value / options.node for name, value in states.items()}
    fsdp |= {"the largest block, gathered, twice": 8 * found.largest / GB}
    plain, less = (batch * value / GB for value in (found.activations, found.checkpointed))
    rows = {}
    for name, held in (("DDP", ddp), (f"FSDP, {options.node} devices a node", fsdp)):
        rest = sum(held.values())
        rows[name] = [f"{rest:.1f}", f"{rest + plain:.1f}", f"{rest + less:.1f}"]
    rate = options.tflops * 1e12 / found.flops
    seconds = [batch * factor / rate for factor in (3, 4)]
    days = [options.steps * second / DAY for second in seconds]
    total, forward, millions = batch * options.devices, found.flops / 1e12, found.parameters / 1e6
    whole, some = (value / GB for value in (found.activations, found.checkpointed))
    return f"""\
### A prior of {millions:.0f} million parameters at 256 x 256 pixels on {options.devices} devices

Made by `python benchmarks/plan.py`, which counts; nothing of this was run. The network is that of Dhariwal &
Nichol (2021), {forward:.2f} TFLOP forward for one image, three times that with the gradient, four times with
checkpoints. Activations of an image in 16 bits are {whole:.2f} GB, with checkpoints {some:.2f} GB.
Each device has a batch of {batch}, all have {total}.

{table(["GB on each device", "states", "with activations", "with checkpoints"], rows)}

At {options.tflops:g} TFLOP/s a device, to be measured before anything is promised, a step takes
{seconds[0]:.2f} s, {seconds[1]:.2f} s with checkpoints, and {options.steps} steps {days[0]:.1f} or
{days[1]:.1f} days. Gradients of {each:.1f} GB are summed over devices in each step, {2 * each / 25:.2f} s
at 25 GB/s, while the backward pass goes on. A checkpoint is {4 * each:.1f} GB: weights, moments, one mean.
There are three of them: best, last and previous."""


def restoring(options: argparse.Namespace, found: Counted) -> str:
    """The plan of a restoration."""
    seconds = options.calls * found.flops / (options.tflops * 1e12)
    share = options.images / options.workers
    bytes_written = options.images * 3 * options.picture
    files = 3 * options.images / (share * seconds)
    minutes, kilobytes = share * seconds / 60, options.picture / 1e3
    return f"""\
### {options.images} images on {options.workers} devices

The same network, called {options.calls} times for an image, forward alone: {seconds:.2f} s an image,
{share:.0f} images a device, {minutes:.0f} minutes in all. Pictures of truth, measurement and solver, of
{kilobytes:.0f} kB: {bytes_written / GB:.0f} GB in {3 * options.images} files, {files:.0f} new files
a second, 10000 in a folder. Records: about 0.4 kB an image and solver, in {options.workers} files."""


if __name__ == "__main__":
    main()
