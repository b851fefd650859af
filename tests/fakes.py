"""Small files in the formats of real data."""

import gzip
from pathlib import Path

import torch
from PIL import Image


def write_idx(folder: Path, train: int, test: int) -> None:
    """Random images and labels in the files of Fashion-MNIST, gzipped."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = torch.Generator().manual_seed(0)
    for part, count in (("train", train), ("t10k", test)):
        for kind, shape, top in (("images-idx3", (count, 28, 28), 256), ("labels-idx1", (count,), 10)):
            header = b"\0\0\x08" + bytes([len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
            body = torch.randint(0, top, shape, dtype=torch.uint8, generator=rng)
            with gzip.open(folder / f"{part}-{kind}-ubyte.gz", "wb") as file:
                file.write(header + body.numpy().tobytes())


def write_pictures(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Random colour pictures of ``size``, height and width."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = torch.Generator().manual_seed(0)
    for i in range(count):
        pixels = torch.randint(0, 256, (*size, 3), dtype=torch.uint8, generator=rng)
        Image.fromarray(pixels.numpy()).save(folder / f"{i:03d}.png")
