"""Restore images: python infer.py --config configs/problems/inpainting.yaml --config configs/solvers/ddrm.yaml."""

from lightning_inv.cli import infer

if __name__ == "__main__":
    infer()
