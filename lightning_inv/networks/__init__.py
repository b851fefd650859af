"""Networks: images and times in, images out."""

from lightning_inv.networks.base import Network
from lightning_inv.networks.classifier import ConvClassifier
from lightning_inv.networks.conv_unet import ConvUNet
from lightning_inv.networks.patched import Patched
from lightning_inv.networks.tiny import TinyNetwork, ZeroNetwork
from lightning_inv.networks.unet import UNet

__all__ = ["ConvClassifier", "ConvUNet", "Network", "Patched", "TinyNetwork", "UNet", "ZeroNetwork"]
