"""Restore images: python infer.py --config configs/problems/inpainting.yaml --model.samples 8."""

from lightning_inv.cli import infer

if __name__ == "__main__":
    infer()
