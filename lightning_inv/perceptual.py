"""Distances as networks see them: LPIPS of pairs, FID and KID of sets; of each the lower the better.

The networks and their weights are those of torchmetrics, which downloads them when they are first needed. All
of them look at colours: grey images are repeated to three channels.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from PIL.ImageFile import ImageFile
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.transforms.functional import pil_to_tensor

from lightning_inv.opening import open_picture, refusing

BATCH = 64
NETWORKS: dict[str, Callable[[], Metric]] = {
    "lpips": partial(LearnedPerceptualImagePatchSimilarity, "alex", reduction="none", sync_on_compute=False),
    "fid": partial(FrechetInceptionDistance, sync_on_compute=False),
    "kid": partial(KernelInceptionDistance, sync_on_compute=False),
}
"""What makes the metric of each measure. One process alone measures: it must not wait for the others."""
UNAVAILABLE = (OSError, ImportError, RuntimeError, ValueError)
"""What torchmetrics raises where weights or a package are missing, or images are too small or too few."""

Numbers = dict[str, float | None]
Pairs = Iterable[tuple[Tensor, Tensor]]
"""Batches of 8-bit images, restored and true, shape ``(B, 3, H, W)``."""


class Perceptual:
    """The measures whose networks are to be had.

    Args:
        device: Where the networks run.
        networks: What makes the metric of each measure.

    Attributes:
        missing: Why each of the other measures cannot be had.
    """

    def __init__(
        self, device: torch.device | str = "cpu", networks: dict[str, Callable[[], Metric]] | None = None
    ) -> None:
        self.device, self.metrics, self.missing = device, {}, {}
        for name, make in (networks or NETWORKS).items():
            try:
                with warnings.catch_warnings():  # KID warns that it keeps what it is given
                    warnings.simplefilter("ignore")
                    self.metrics[name] = make().to(device)
            except UNAVAILABLE as error:
                self.missing[name] = reason(error)

    def measure(self, restored: Sequence[Path], truth: Sequence[Path]) -> tuple[dict[str, Numbers], dict]:
        """The measures of a solver, and why others are missing.

        Args:
            restored: Files of images.
            truth: Those of the true images, in the same order.
        """
        found, missing = {}, dict(self.missing)
        for name, metric in self.metrics.items():
            compute = lpips if name == "lpips" else of_sets
            try:
                found[name] = compute(metric, pairs(restored, truth, self.device))
            except UNAVAILABLE as error:
                missing[name] = reason(error)
            metric.reset()
        return found, missing


def reason(error: Exception) -> str:
    """Why a measure cannot be had, in a few words."""
    said = " ".join(str(error).split()).split(". ")[0].rstrip(".")
    if isinstance(error, ImportError):
        return "torch-fidelity is not installed" if "fidelity" in said else said
    return f"weights could not be downloaded ({said})" if isinstance(error, OSError) else said


def pairs(restored: Sequence[Path], truth: Sequence[Path], device: torch.device | str) -> Iterator:
    """Batches of the images in these files, each of images of one size; see ``Pairs``."""
    sizes: dict[tuple[int, int], list[tuple[Path, Path]]] = {}
    for files in zip(restored, truth, strict=True):
        with picture(files[1]) as image:
            sizes.setdefault(image.size, []).append(files)
    for alike in sizes.values():
        for start in range(0, len(alike), BATCH):
            some = zip(*alike[start : start + BATCH], strict=True)
            yield tuple(torch.stack([read(path) for path in files]).to(device) for files in some)


def read(path: Path) -> Tensor:
    """The picture in a file in 8 bits and three channels, shape ``(3, H, W)``."""
    with picture(path) as image:
        return pil_to_tensor(image.convert("RGB"))


@contextmanager
def picture(path: Path) -> Iterator[ImageFile]:
    """The picture in a file; a ValueError names the file if it cannot be read."""
    try:
        with refusing(), open_picture(path) as image:
            yield image
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def lpips(metric: Metric, images: Pairs) -> Numbers:
    """The mean of LPIPS over images and its standard error; its network takes images in [-1, 1]."""
    for batch in images:
        metric.update(*(x.float() / 127.5 - 1 for x in batch))
    scores = metric.compute().flatten().cpu().double()
    error = float(scores.std() / len(scores) ** 0.5) if len(scores) > 1 else None
    return {"mean": float(scores.mean()), "standard_error": error}


class LastFeatures(nn.Module):
    """What the last linear layer of a classifier is given, shape ``(B, F)``: features to take the FID of.

    Args:
        classifier: The classifier, of images in [-1, 1].

    Raises:
        ValueError: The classifier has no linear layer.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        linear = [part for part in classifier.modules() if isinstance(part, nn.Linear)]
        if not linear:
            raise ValueError(f"{type(classifier).__name__} has no linear layer to take features from.")
        self.classifier, self.num_features = classifier, linear[-1].in_features
        self.last = [linear[-1]]  # in a list, so that its weights are not told twice

    def forward(self, x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        with self.last[0].register_forward_pre_hook(lambda _, given: seen.append(given[0])):
            self.classifier(x)
        return seen[-1]


def eight_bits(x: Tensor) -> Tensor:
    """Images in [-1, 1] in 8 bits and three channels; grey ones are repeated."""
    return (x.clamp(-1, 1) * 127.5 + 127.5).round().byte().expand(-1, 3, -1, -1)


def fid(samples: Tensor, images: Iterable[Tensor], classifier: nn.Module | None = None) -> float:
    """FID of samples and images, all in [-1, 1].

    Args:
        samples: The samples, shape ``(B, C, H, W)``.
        images: Batches of images, shape ``(B, C, H, W)``.
        classifier: Its features are looked at, in eval mode; those of Inception if None.

    Raises:
        UNAVAILABLE: The network or its weights are not to be had.
    """
    metric = NETWORKS["fid"](LastFeatures(classifier.eval())) if classifier else NETWORKS["fid"]()
    seen_as = (lambda x: x) if classifier else eight_bits
    for real, batches in ((False, samples.split(BATCH)), (True, images)):
        for batch in batches:
            metric.update(seen_as(batch), real=real)
    return float(metric.compute())


def of_sets(metric: Metric, images: Pairs) -> Numbers:
    """FID, or KID as the mean over subsets of 1000 images, of all images where they are fewer.

    Their networks take 8-bit images. Neither has a standard error: KID's, over subsets, is none over images.
    """
    count = 0
    for restored, truth in images:
        count += len(truth)
        metric.update(truth, real=True)
        metric.update(restored, real=False)
    if isinstance(metric, KernelInceptionDistance):
        metric.subset_size, metric.subsets = min(1000, count), 100 if count > 1000 else 1
    with torch.random.fork_rng(devices=[]):  # KID draws its subsets
        torch.manual_seed(0)
        found = metric.compute()
    return {"mean": float(found[0] if isinstance(found, tuple) else found), "standard_error": None}
