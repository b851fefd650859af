"""Solvers of deepinv on the problems of ``overhead.py``; imported only where deepinv is installed.

Source: Tachella et al. (2025), DeepInverse, https://arxiv.org/abs/2505.20160.
"""

from collections.abc import Callable
from functools import partial

import deepinv
import numpy as np
import torch
from costs import Free, Run
from torch import Tensor, nn

from lightning_inv.networks import Network
from lightning_inv.schedules import LinearSchedule

SHAPE, NOISE = (3, 32, 32), 0.05  # of images in [0, 1], as deepinv has them


class AsDenoiser(deepinv.models.Denoiser):
    """A network of the noise, called as deepinv calls a denoiser.

    Args:
        network: The network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, schedule = network, LinearSchedule()
        self.register_buffer("relative", schedule.sigma[1:] / schedule.alpha[1:] / 2)

    def forward(self, x: Tensor, sigma: float | Tensor, **_: object) -> Tensor:
        sigma = torch.as_tensor(sigma, dtype=x.dtype).flatten()[:1]
        t = (self.relative - sigma).abs().argmin().expand(len(x))
        scale = (1 + 4 * sigma**2).rsqrt()
        return x - sigma * self.network(scale * (2 * x - 1), t, None)


class Unchanged(deepinv.models.Denoiser):
    """A denoiser that costs nothing."""

    def forward(self, x: Tensor, sigma: float | Tensor, **_: object) -> Tensor:
        return x


def physics(problem: str) -> deepinv.physics.Physics:
    """The operator of deepinv for a problem."""
    noise = deepinv.physics.GaussianNoise(NOISE)
    if problem == "denoising":
        return deepinv.physics.Denoising(noise)
    if problem == "inpainting":
        return deepinv.physics.Inpainting(img_size=SHAPE, mask=0.5, noise_model=noise)
    kernel = deepinv.physics.functional.gaussian_blur(sigma=(3.0, 3.0))
    return deepinv.physics.BlurFFT(img_size=SHAPE, filter=kernel, noise_model=noise)


def ddrm(denoiser: nn.Module, steps: int) -> nn.Module:
    """Their DDRM."""
    return deepinv.sampling.DDRM(denoiser, sigmas=np.linspace(1, 0.01, steps))


def diffpir(denoiser: nn.Module, steps: int) -> nn.Module:
    """Their DiffPIR."""
    return deepinv.sampling.DiffPIR(denoiser, deepinv.optim.data_fidelity.L2(), max_iter=steps)


def dps(denoiser: nn.Module, steps: int) -> nn.Module:
    """Their DPS."""
    return deepinv.sampling.DPS(denoiser, num_steps=steps + 1)


def theirs(
    make: Callable[[nn.Module, int], nn.Module], problem: str, network: Network, batch: int, steps: int
) -> Run:
    """A run of a solver of deepinv; the adapter counts as network."""
    denoiser = Unchanged() if isinstance(network, Free) else AsDenoiser(network)
    A, solver = physics(problem), make(denoiser, steps)
    y = A(torch.rand(batch, *SHAPE))
    return Run(lambda: solver(y, A), denoiser)


DEEPINV = {
    f"deepinv {name}": partial(theirs, make)
    for name, make in {"DDRM": ddrm, "DiffPIR": diffpir, "DPS": dps}.items()
}
