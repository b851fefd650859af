"""Train a diffusion prior: python train.py --config configs/priors/fashion_mnist.yaml --data.root FOLDER."""

from lightning_inv.cli import train

if __name__ == "__main__":
    train()
