"""Trains a classifier of garments on one half of the training images of Fashion-MNIST.

    python benchmarks/classifiers.py --root FOLDER_OF_IDX_FILES --half even --noise 1 --out guide.safetensors

The one that ships, which guides, is of the even half and was trained on noisy images; the judge of
``benchmarks/guidance.py`` is of the odd half, wider, and saw no noise.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

from lightning_inv.data import FashionMNIST, ImageDataset
from lightning_inv.files import atomic_write
from lightning_inv.networks import ConvClassifier
from lightning_inv.noise import generator

WIDTHS = {"even": (32, 64, 128), "odd": (48, 96, 192)}
BATCH = 128


def stacked(images: ImageDataset) -> tuple[Tensor, Tensor]:
    """All images, shape ``(n, 1, 32, 32)``, and their classes, shape ``(n,)``."""
    items = list(images)
    return torch.stack([item["image"] for item in items]), torch.tensor([item["label"] for item in items])


def halves(images: Tensor, labels: Tensor, half: str) -> tuple[Tensor, Tensor]:
    """The even or the odd images."""
    first = ("even", "odd").index(half)
    return images[first::2], labels[first::2]


def noisy(x: Tensor, most: float, rng: torch.Generator) -> Tensor:
    """Images, half of them mirrored and 7 of 10 with noise of a deviation between 0 and ``most``."""
    u = torch.rand(3, len(x), 1, 1, 1, generator=rng)
    x = torch.where(u[0] < 0.5, x.flip(-1), x)
    return x + most * u[1] * (u[2] < 0.7) * torch.randn(x.shape, generator=rng)


def train(data: FashionMNIST, half: str, noise: float, epochs: int, seed: int = 0) -> ConvClassifier:
    """A classifier of one half of the training images."""
    x, labels = halves(*stacked(data.dataset("train")), half)
    torch.manual_seed(seed + len(half))  # weights and dropout
    rng = generator(seed, half, "classifier")
    network = ConvClassifier(widths=WIDTHS[half]).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * (len(x) // BATCH))
    began = time.perf_counter()
    for epoch in range(epochs):
        for chosen in torch.randperm(len(x), generator=rng).split(BATCH)[: len(x) // BATCH]:
            batch = noisy(x[chosen], noise, rng).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                log_p = network(batch)
            loss = F.nll_loss(log_p.float(), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"{half}: epoch {epoch + 1}, loss {loss:.3f}, {time.perf_counter() - began:.0f} s", flush=True)
    return network.eval().requires_grad_(False)


def accuracy(network: ConvClassifier, images: Tensor, labels: Tensor) -> float:
    """The share of images whose class it tells."""
    return float(
        (torch.cat([network(part) for part in images.split(500)]).argmax(1) == labels).float().mean()
    )


def train_to_file(root: str, half: str, noise: float, epochs: int, out: Path) -> None:
    """Trains a classifier and writes its weights, in 16 bits, with how they were made."""
    data = FashionMNIST(root)
    network = train(data, half, noise, epochs)
    weights = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    about = {"data": f"FashionMNIST, train, {half} images", "noise": noise, "epochs": epochs}
    about["test_accuracy"] = round(accuracy(network, *stacked(data.dataset("test"))), 4)
    print(about)
    with atomic_write(out) as file:
        file.write(save(weights, {"provenance": json.dumps(about)}))


def main() -> None:
    """Trains one classifier."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root", default="data", help="the folder of the idx files")
    parser.add_argument("--half", choices=list(WIDTHS), required=True)
    parser.add_argument("--noise", type=float, default=0.0, help="the largest deviation of noise on images")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    train_to_file(options.root, options.half, options.noise, options.epochs, options.out)


if __name__ == "__main__":
    main()
