"""Data modules."""

from lightning_inv.data.base import ImageDataModule, Shard
from lightning_inv.data.crops import ImageCrops
from lightning_inv.data.dataset import ImageDataset, Shapes, shapes_of
from lightning_inv.data.digits import Digits
from lightning_inv.data.fashion_mnist import FashionMNIST
from lightning_inv.data.folder import ImageFolder
from lightning_inv.data.measurements import MeasurementFolder
from lightning_inv.data.photographs import Photographs
from lightning_inv.data.remote import RemoteImages
from lightning_inv.data.sampler import StreamSampler
from lightning_inv.data.samples import NoImages, SampleImages

__all__ = [
    "Digits",
    "FashionMNIST",
    "ImageCrops",
    "ImageDataModule",
    "ImageDataset",
    "ImageFolder",
    "MeasurementFolder",
    "NoImages",
    "Photographs",
    "RemoteImages",
    "SampleImages",
    "Shapes",
    "Shard",
    "StreamSampler",
    "shapes_of",
]
