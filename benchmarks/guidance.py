"""Lets a classifier and symmetry lead the prior, has another classifier judge, writes to docs/results.md.

    python benchmarks/classifiers.py --root FOLDER --half odd --out results/guidance/judge.safetensors
    python benchmarks/guidance.py --root FOLDER_OF_IDX_FILES

The judge was trained on images that the guide never saw. What was computed stays in ``--folder``: the same
command goes on where it was interrupted. Options not listed here are handed to infer.py.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from classifiers import WIDTHS, accuracy, stacked
from pages import note_environment, noted_environments, table, write_part
from torch import Tensor
from torchvision.utils import save_image

from lightning_inv.callbacks.manifest import Manifest
from lightning_inv.cli import CONFIGS, infer
from lightning_inv.constraints import Symmetry
from lightning_inv.data import FashionMNIST, MeasurementFolder
from lightning_inv.files import load_weights, read_weights, shipped
from lightning_inv.networks import ConvClassifier

SHOWN = 16
"""Images of each run in the picture."""
CHANCE = "10 %, by chance"
"""The share of unguided images that are judged to be of a class, averaged over ten classes."""
GARMENTS = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


def main(args: Sequence[str] | None = None) -> None:
    """Generates what has not been generated yet, then writes the part of the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--root", required=True, help="folder of the Fashion-MNIST idx files")
    parser.add_argument("--images", type=int, default=32, help="images of each class")
    parser.add_argument("--folder", type=Path, default=Path("results/guidance"), help="where results go")
    parser.add_argument("--accelerator", default="auto", help="what infer.py runs on")
    parser.add_argument("--judge", type=Path, default=Path("results/guidance/judge.safetensors"))
    parser.add_argument("--page", type=Path, default=Path("docs/results.md"), help="the page to write to")
    options, more = parser.parse_known_args(args)
    judge = ConvClassifier(widths=WIDTHS["odd"]).eval().requires_grad_(False)
    load_weights(judge, options.judge)
    everything = {name: generate(name, change, options, more) for name, change in runs().items()}
    data = FashionMNIST(options.root)
    train, test = stacked(data.dataset("train")), stacked(data.dataset("test"))
    text = page(everything, Judge(judge, train, test), options)
    write_part(options.page, "guidance", text)
    shown = [*(f"class {k}" for k in range(10)), "symmetric", "asymmetric", "unguided"]
    picture = torch.cat([everything[name][:SHOWN] for name in shown]) / 2 + 0.5
    save_image(picture, options.page.with_name("guidance.png"), nrow=SHOWN, padding=1)


def runs() -> dict[str, dict[str, Any]]:
    """What differs from configs/problems/garment.yaml in each run, by its name."""

    def led(label: int, weight: float) -> dict[str, Any]:
        return {"garment": {"constraint": {"init_args": {"label": label}}, "weight": weight}}

    found = {f"class {k}": {"terms": led(k, 0.3)} for k in range(10)}
    found["unguided"] = {"terms": led(0, 0.0)}
    return found | {"symmetric": {}, "asymmetric": {}, "samples": {}}


def generate(name: str, change: dict[str, Any], options: argparse.Namespace, more: list[str]) -> Tensor:
    """The images of a run of infer.py, shape ``(n, 1, 32, 32)``."""
    folder = options.folder / name.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    kind = {"symmetric": "symmetric", "asymmetric": "asymmetric", "samples": "unconditional"}
    tree: dict[str, Any] = {"include": str(CONFIGS / "problems" / f"{kind.get(name, 'garment')}.yaml")}
    solver = "samples" if name == "samples" else "plug_and_play"
    change = {"steps": 250, "eta": 1.0} if name == "samples" else change
    tree |= {"model": {"solvers": {solver: {"init_args": change}}}}
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(tree))
    count = options.images * (1 if name.startswith("class") else 10 if name in ("unguided", "samples") else 2)
    if len(Manifest(folder).read(range(count))) < count:
        note_environment(options.folder, options.accelerator)
    batch = ["--trainer.accelerator", options.accelerator, "--data.batch_size=64", f"--data.count={count}"]
    infer(["--config", str(file), "--folder", str(folder), *batch, *more])
    return torch.stack(
        [item["measurement"] for item in MeasurementFolder(str(folder / solver), channels=1).selected()]
    )


class Judge:
    """Measures of images of one class, against real ones.

    Args:
        network: The classifier that judges.
        train: Training images and their classes.
        test: Test images and their classes.
    """

    def __init__(
        self, network: ConvClassifier, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
    ) -> None:
        self.network, self.train, self.test = network, train[0].flatten(1), test
        self.accuracy = accuracy(network, *test)
        self.real = {k: test[0][test[1] == k] for k in range(10)}
        self.diversity = sum(spread(x) for x in self.real.values()) / 10

    def classes(self, x: Tensor) -> Tensor:
        """The class of each image."""
        return self.network(x).argmax(1)

    def nearest(self, x: Tensor) -> float:
        """The mean Euclidean distance to the nearest training image."""
        return float(torch.cdist(x.flatten(1), self.train).amin(1).mean())

    def row(self, images: dict[int, Tensor], right: str | None = None) -> list[str]:
        """Accuracy, diversity and distance of images by the class asked for."""
        told = [float((self.classes(x) == k).float().mean()) for k, x in images.items()]
        apart = [spread(x) for x in images.values() if len(x) > 1]
        return [
            right or f"{100 * sum(told) / len(told):.1f} %",
            f"{sum(apart) / len(apart) / self.diversity:.2f}",
            f"{self.nearest(torch.cat(list(images.values()))):.2f}",
        ]

    def by_class(self, x: Tensor) -> dict[int, Tensor]:
        """The images by the class that they are judged to be."""
        found = self.classes(x)
        return {int(k): x[found == k] for k in found.unique()}


def spread(x: Tensor) -> float:
    """The mean Euclidean distance of two of these images."""
    distances = torch.cdist(x.flatten(1), x.flatten(1))
    return float(distances.sum()) / (len(x) * (len(x) - 1))


def page(found: dict[str, Tensor], judge: Judge, options: argparse.Namespace) -> str:
    """The part of the page, in Markdown."""
    led = {k: found[f"class {k}"] for k in range(10)}
    rows = {
        "**led to the class**": judge.row(led),
        "the same without classifier": judge.row(judge.by_class(found["unguided"]), CHANCE),
        "ancestral samples of the prior, 250 steps": judge.row(judge.by_class(found["samples"]), CHANCE),
        f"test images, {options.images} of each class": judge.row(
            {k: x[: options.images] for k, x in judge.real.items()}
        ),
    }
    each = {name: judge.row({k: led[k]}) for k, name in enumerate(GARMENTS)}
    for k, name in enumerate(GARMENTS):  # against real images of the same class
        each[name][1] = f"{spread(led[k]) / spread(judge.real[k]):.2f}"
    free = asymmetry(found["unguided"])
    mirrored = {
        name: [f"{asymmetry(x):.4f}", f"{asymmetry(x) / free:.2f}", f"{judge.nearest(x):.2f}"]
        for name, x in {key: found[key] for key in ("symmetric", "asymmetric", "unguided")}.items()
    }
    guide, _ = read_weights(shipped("fashion_mnist_classifier"))
    heads = ["images", "judged of the class", "diversity", "nearest training image"]
    return TEXT.format(
        environment=noted_environments(options.folder),
        guide=guide["provenance"],
        judge=read_weights(options.judge)[0]["provenance"],
        accuracy=100 * judge.accuracy,
        images=options.images,
        garments=", ".join(GARMENTS),
        summary=table(heads, rows),
        each=table(["class", *heads[1:]], each),
        mirror=table(["images", "asymmetry", "over unguided", "nearest training image"], mirrored),
    )


def asymmetry(x: Tensor) -> float:
    """The mean squared difference of pixels and those of the mirror image."""
    return float(Symmetry().per_entry(x, None).mean())


TEXT = """\
# Guidance

Made by `benchmarks/guidance.py`, not by hand.

- Code: {environment}
- Solver: plug-and-play, `configs/problems/garment.yaml`, `symmetric.yaml`, `asymmetric.yaml`: 150 evaluations
  of the shipped prior, nothing measured, {images} images of each class, seed 0
- Guide: {guide}
- Judge: {judge}; right on {accuracy:.1f} % of the test images

Diversity is the mean distance of two images of a class over that of real test images; nearest training image
is the mean Euclidean distance, of 59000 images, pixels in [-1, 1]. Images that nobody led are grouped by what
the judge says they are. Settings were chosen with another classifier of the judge's half, on 6 to 8 images a
class.

![Rows: the ten classes, symmetric, asymmetric, unguided](guidance.png)

The picture has the first images of each run, none chosen. Rows: {garments}, then symmetric, asymmetric and
unguided. The judge accepts some dark shapes that are no shoes to the eye: its accuracy is not all.

{summary}

By class, diversity over that of the same class:

{each}

Asymmetry is the mean squared difference of pixels and those of the mirror image.

{mirror}"""


if __name__ == "__main__":
    main()
