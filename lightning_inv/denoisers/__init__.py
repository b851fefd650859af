"""Denoisers: diffusion priors, seen through E[x | x_t]."""

from lightning_inv.denoisers.base import Denoiser, Estimate
from lightning_inv.denoisers.epsilon import EpsilonDenoiser
from lightning_inv.denoisers.exact import GaussianDenoiser, MixtureDenoiser
from lightning_inv.denoisers.metered import MeteredDenoiser

__all__ = [
    "Denoiser",
    "EpsilonDenoiser",
    "Estimate",
    "GaussianDenoiser",
    "MeteredDenoiser",
    "MixtureDenoiser",
]
