"""Measures what the library costs besides its network and writes its part of docs/performance.md.

    python benchmarks/overhead.py

Time within the network is taken by hooks in the same run, and all else is the library's. deepinv runs beside
ours, in turns, if it is installed.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple
from unittest.mock import patch

import torch
from costs import Cost, Free, Run, cost, small_unet
from memory import LiveBytes
from pages import environment, table, write_part
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import EpsilonDenoiser, MeteredDenoiser
from lightning_inv.networks import Network
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import CircularBlur, Identity, Images, Inpainting
from lightning_inv.solvers import (
    DDRM,
    DPS,
    DDNMPlus,
    DiffPIR,
    PiGDM,
    PlugAndPlay,
    Problem,
    REDDiff,
    Solver,
    Unconditional,
)

SHAPE, SIGMA = (3, 32, 32), 0.1
PROBLEMS = {"denoising": Identity, "inpainting": Inpainting, "circular blur": CircularBlur}
SOLVERS: dict[str, Callable[..., Solver]] = {
    "DDRM": DDRM,
    "DDIM": Unconditional,
    "DDPM": partial(Unconditional, eta=1.0),
    "RED-diff": REDDiff,
    "plug-and-play": PlugAndPlay,
    "DDNM+": DDNMPlus,
    "DiffPIR": DiffPIR,
    "DPS": DPS,
    "PiGDM": PiGDM,
}
"""A solver of one's own joins by a line."""


Build = Callable[[str, Network, int, int], Run]
"""What makes a run, given the problem's name, the network, the images of a batch and the steps."""


def ours(make: Callable[..., Solver], problem: str, network: Network, batch: int, steps: int) -> Run:
    """A run of a solver of this library, as infer.py calls it."""
    measurement = Measurement(PROBLEMS[problem](), SIGMA).prepare(Images.unnamed(SHAPE, batch))
    x = 2 * NoiseStream.of(0, range(batch), "truth").uniform(SHAPE) - 1
    y = measurement.observe(x, NoiseStream.of(0, range(batch), "measurement"))
    prior, solver = MeteredDenoiser(EpsilonDenoiser(network, SHAPE)), make(steps=steps)

    def solve() -> Tensor:
        return solver(Problem(y, measurement, prior, NoiseStream.of(0, range(batch), "solver")))

    return Run(solve, network)


def bare(problem: str, network: Network, batch: int, steps: int) -> Run:
    """DDRM for masks written by hand, without any part of the library: what its arithmetic costs."""
    mask = (
        torch.ones(1, 1, *SHAPE[1:]) if problem == "denoising" else (torch.rand(batch, 1, *SHAPE[1:]) < 0.5)
    )
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)
    mask, y, eta = mask.float(), torch.randn(batch, *SHAPE), 0.85

    @torch.no_grad()
    def solve() -> Tensor:
        x_t, times = torch.randn_like(y), torch.linspace(999, 0, steps + 1).long().tolist()
        for t, s in pairwise(times):
            alpha, sigma = float(alpha_bar[t].sqrt()), float((1 - alpha_bar[t]).sqrt())
            eps = network(x_t, torch.full((batch,), t))
            x = (x_t - sigma * eps) / alpha
            alpha_s, noise = float(alpha_bar[s].sqrt()), float((1 / alpha_bar[s] - 1).sqrt())
            pull = mask * (1.0 if noise >= SIGMA else (1 - eta**2) ** 0.5 * noise / SIGMA)
            var = noise**2 - SIGMA**2 if noise >= SIGMA else (eta * noise) ** 2
            deviation = (mask * var + (1 - mask) * (eta * noise) ** 2).sqrt()
            fresh = (1 - mask) * ((1 - eta**2) ** 0.5 * noise) * eps + deviation * torch.randn_like(x)
            x_t = alpha_s * (torch.lerp(x, y, pull) + fresh)
        return x_t

    return Run(solve, network)


def everything(problem: str) -> dict[str, Build]:
    """Every solver for a problem, ours and those of deepinv if it is installed."""
    found: dict[str, Build] = {name: partial(ours, make) for name, make in SOLVERS.items()}
    if problem != "circular blur":
        found["DDRM, bare, by hand"] = bare
    if find_spec("deepinv"):
        from peers import DEEPINV

        found |= DEEPINV
    return found


class Row(NamedTuple):
    """What was measured of a solver on a problem, over rounds."""

    problem: str
    name: str
    unet: list[Cost]
    free: list[Cost]

    def cells(self) -> list[str]:
        """Calls, the median of solve / network, and the median and the least of own milliseconds."""
        ratio, own = median(cost.ratio for cost in self.unet), [cost.own for cost in self.free]
        return [f"{self.unet[0].calls}", f"{ratio:.3f}", f"{median(own):.2f}", f"{min(own):.2f}"]


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Every solver on every problem, with the U-Net and with the free network."""
    unet, free = small_unet(), Free()
    for problem in PROBLEMS:
        runs = {
            name: [
                build(problem, unet, options.batch, options.steps),
                build(problem, free, options.batch, options.free_steps),
            ]
            for name, build in everything(problem).items()
        }
        found: dict[str, list[list[Cost]]] = {name: [[], []] for name in runs}
        for turn in range(options.rounds + 1):
            for which in (0, 1):
                for name, pair in runs.items():
                    if (spent := cost(pair[which])) and turn:  # the first turn is to warm up
                        found[name][which].append(spent)
        yield from (Row(problem, name, *pair) for name, pair in found.items())


def peaks(options: argparse.Namespace) -> Iterator[tuple[str, list[int]]]:
    """Solver of ours, and the peak of live bytes in inpainting for few and for many steps."""
    for name, make in SOLVERS.items():
        found = []
        for steps in options.memory_steps:
            run = ours(make, "inpainting", Free(), options.batch, steps)
            with LiveBytes() as live:
                run.solve()
            found.append(live.peak)
        yield name, found


def text(measured: Sequence[Row], options: argparse.Namespace) -> str:
    """The part of the page, in Markdown."""
    rows = {f"{row.name} | {row.problem}": row.cells() for row in measured}
    few, many = options.memory_steps
    memory = {name: [f"{peak / 2**20:.2f}" for peak in found] for name, found in peaks(options)}
    parameters = sum(weight.numel() for weight in small_unet().parameters()) / 1e6
    return INTRODUCTION.format(
        environment=environment(),
        shape=" x ".join(map(str, (options.batch, *SHAPE))),
        parameters=parameters,
        rounds=options.rounds,
        steps=options.steps,
        free_steps=options.free_steps,
        times=table(["solver", "problem", "calls", "solve / network", "own ms a call", "the least"], rows),
        memory=table(["solver", f"MiB, {few} steps", f"MiB, {many} steps"], memory),
    )


INTRODUCTION = """\
## What the library costs besides its network

Made by `benchmarks/overhead.py`: {environment}. Images {shape}, one thread, GPUs hidden
(where PyTorch sees the driver of one, it asks it at each step of an optimizer, about 0.3 ms), a U-Net of
{parameters:.1f} million parameters; medians of {rounds} rounds in which all solvers took turns, after one
to warm up.

"Solve / network" is the time of a run of {steps} steps over the time within its network, forward and
backward, taken by hooks in the same run. "Own ms a call" are all the other milliseconds for each forward call
of the network, in runs of {free_steps} steps with a network that returns its input, the start of the run
included; the least of all rounds is what other work on the machine disturbed least. "Bare" is the arithmetic
of DDRM written by hand, for masks only, with one generator for the batch. Rows of deepinv are its solvers
with their defaults on the same operators; there the adapter of the network counts as network.

{times}

The most bytes of tensors alive at once, autograd's included, in inpainting, with the network that returns its
input:

{memory}
"""


def main(args: Sequence[str] | None = None) -> None:
    """Measures and writes the part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10, help="with the U-Net")
    parser.add_argument("--free-steps", type=int, default=50, help="with the network that costs nothing")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--memory-steps", type=int, nargs=2, default=(20, 1000))
    parser.add_argument("--page", type=Path, default=Path(__file__).parents[1] / "docs" / "performance.md")
    options = parser.parse_args(args)
    with alone():
        measured = []
        for row in measure(options):
            measured.append(row)
            print(f"{row.name:20} {row.problem:14}", *row.cells(), flush=True)
        write_part(options.page, "overhead", text(measured, options))


@contextmanager
def alone() -> Iterator[None]:
    """One thread and no GPU to be seen, whose drivers PyTorch asks at each step of an optimizer otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with patch.dict(os.environ, CUDA_VISIBLE_DEVICES=""):
            yield
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
