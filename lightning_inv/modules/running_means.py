"""Running means of the weights of a training."""

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from lightning_inv.denoisers import Denoiser
from lightning_inv.modules.sharding import local


def best_of(losses: Tensor) -> Tensor:
    """The running mean of the least loss, given those of ``validated``, shape ``()``; NaN is the worst."""
    return losses.mean(1).nan_to_num(torch.inf, torch.inf).argmin()


def running_mean(denoiser: Denoiser, decay: float) -> AveragedModel:
    """A copy of the denoiser whose weights follow it; step n uses at most a decay of (1 + n) / (10 + n)."""

    @torch.no_grad()
    def average(means: list[Tensor], weights: list[Tensor], n: Tensor | int) -> None:
        own = [[local(tensor) for tensor in tensors] for tensors in (means, weights)]
        torch._foreach_lerp_(*own, 1 - min(decay, (1 + int(n)) / (10 + int(n))))

    mean = AveragedModel(denoiser, multi_avg_fn=average, use_buffers=False)
    return mean.requires_grad_(False).eval()
