"""Denoisers: diffusion priors, seen through E[x | x_t]."""

from lightning_inv.denoisers.base import Denoiser, Estimate
from lightning_inv.denoisers.epsilon import EpsilonDenoiser
from lightning_inv.denoisers.exact import GaussianDenoiser, MixtureDenoiser
from lightning_inv.denoisers.image import ImageDenoiser
from lightning_inv.denoisers.metered import MeteredDenoiser
from lightning_inv.denoisers.network import NetworkDenoiser
from lightning_inv.denoisers.sized import SizedDenoiser
from lightning_inv.denoisers.stationary import StationaryDenoiser
from lightning_inv.denoisers.tiled import TiledDenoiser
from lightning_inv.denoisers.velocity import VelocityDenoiser

__all__ = [
    "Denoiser",
    "EpsilonDenoiser",
    "Estimate",
    "GaussianDenoiser",
    "ImageDenoiser",
    "MeteredDenoiser",
    "MixtureDenoiser",
    "NetworkDenoiser",
    "SizedDenoiser",
    "StationaryDenoiser",
    "TiledDenoiser",
    "VelocityDenoiser",
]
