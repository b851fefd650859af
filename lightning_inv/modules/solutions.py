"""What a batch has become after ``predict_step``."""

from dataclasses import dataclass

from torch import Tensor

from lightning_inv.constraints import Measurement


@dataclass(frozen=True)
class Solution:
    """What one solver made of a batch.

    Args:
        samples: K results an image, shape ``(K, B, C, H, W)``.
        forward_calls: Forward evaluations of the network for one sample of each image.
        backward_calls: Backward evaluations, likewise.
        seconds: Wall time for one image, all samples.
        peak_memory: The most memory in use meanwhile, in MiB; None where it cannot be measured.
    """

    samples: Tensor
    forward_calls: int
    backward_calls: int
    seconds: float
    peak_memory: float | None

    @property
    def evaluations(self) -> int:
        """Network evaluations, forward and backward, for one sample of each image."""
        return self.forward_calls + self.backward_calls


@dataclass(frozen=True)
class Restored:
    """A batch after ``predict_step``.

    Args:
        indices: The index of each image.
        names: The name of each image.
        truth: The true images, shape ``(B, C, H, W)``, if they are known.
        y: The measurements, if there are any.
        measurement: How they were made.
        solutions: What each solver made of them.
        problem: The name of the problem; empty where there is only one.
        drawn: Which of the samples of each image this one is, where a batch holds single samples.
    """

    indices: list[int]
    names: list[str]
    truth: Tensor | None
    y: Tensor | None
    measurement: Measurement | None
    solutions: dict[str, Solution]
    problem: str = ""
    drawn: list[int] | None = None
