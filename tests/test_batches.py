"""With the shipped prior and its presets, an image does not depend on those beside it."""

import pytest
import torch

from lightning_inv.cli import CONFIGS, InferCommandLine
from lightning_inv.data import SampleImages
from lightning_inv.modules import Restoration

COUNT = 2


def restored(problem: str, batches: list[list[int]]) -> dict[str, torch.Tensor]:
    """What each solver makes of the first images, in these batches, shape ``(COUNT, 1, 32, 32)``."""
    words = [
        f"--config={CONFIGS / 'problems' / problem}.yaml",
        "--data=SampleImages",
        "--trainer.logger=false",
    ]
    model = InferCommandLine(Restoration, CONFIGS / "infer.yaml", words, save_config_callback=None).model
    items = [SampleImages().dataset("test")[i] for i in range(COUNT)]
    found = {name: torch.empty(COUNT, 1, 32, 32) for name in model.solvers}
    for indices in batches:
        batch = {
            "image": torch.stack([items[i]["image"] for i in indices]),
            "name": [items[i]["name"] for i in indices],
            "index": torch.tensor(indices),
        }
        solutions = model.predict_step(batch, 0).solutions
        for name, solution in solutions.items():
            found[name][indices] = solution.samples[0]
    return found


@pytest.mark.parametrize("problem", ["inpainting", "box_inpainting"])
def test_an_image_alone_and_in_a_batch_are_the_same(problem: str) -> None:
    together, shuffled = restored(problem, [[1, 0]]), restored(problem, [[0], [1]])
    for name, x in together.items():
        difference = (x - shuffled[name]).flatten(1)
        assert difference.square().mean(1).sqrt().max() < 1e-4, name
        if (problem, name) != ("box_inpainting", "reddiff"):
            assert difference.abs().max() < 1e-4, name
