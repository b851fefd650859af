"""Cameras that are not linear."""

from collections.abc import Sequence

from torch import Tensor

from lightning_inv.operators.base import Images, Operator
from lightning_inv.operators.blur import ReflectBlur
from lightning_inv.operators.kernels import MotionSpread, PointSpread
from lightning_inv.settings import need_positive


class HighDynamicRange(Operator):
    """A(x) = clip(gain x, -1, 1), a camera that saturates; where it does, the gradient is 0.

    Args:
        gain: The exposure.
    """

    def __init__(self, gain: float = 2.0) -> None:
        super().__init__()
        self.gain = gain
        need_positive(self, "gain")

    def forward(self, x: Tensor) -> Tensor:
        return (self.gain * x).clamp(-1, 1)

    def pinv(self, y: Tensor) -> Tensor:
        """The image y / gain, which the code of RED-diff starts from."""
        return y / self.gain


class Clipping(Operator):
    """A(x) = clip(x, low, high).

    Args:
        low: The least value that is seen, in units of images in [-1, 1].
        high: The largest one.
    """

    def __init__(self, low: float = -0.5, high: float = 0.5) -> None:
        super().__init__()
        if not low < high:
            raise ValueError(f"Clipping needs low < high, got {low} and {high}.")
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(self.low, self.high)

    def pinv(self, y: Tensor) -> Tensor:
        """Y itself."""
        return y


def respond(x: Tensor, power: float) -> Tensor:
    """Raises an image to a power after a shift from [-1, 1] to [0, 1]; values outside are clipped."""
    return 2 * ((x + 1) / 2).clamp(1e-4, 1) ** power - 1


class Gamma(Operator):
    """A(x): x to the power of gamma, on a scale where black is 0 and white 1; values outside are clipped.

    Args:
        gamma: The power.
    """

    def __init__(self, gamma: float = 2.2) -> None:
        super().__init__()
        self.gamma = gamma
        need_positive(self, "gamma")

    def forward(self, x: Tensor) -> Tensor:
        return respond(x, self.gamma)

    def pinv(self, y: Tensor) -> Tensor:
        """Y to the power of 1 / gamma."""
        return respond(y, 1 / self.gamma)


class NonlinearBlur(Operator):
    """Motion blur of the light itself: pixels are raised to gamma, blurred, and lowered again.

    Blur happens before the response of the camera, so bright spots outweigh dark ones. The path of the
    camera is drawn once for each image, so y and every later A(x) have the same. It is not the learned blur
    of Tran et al. (2021) on which DPS and RED-diff are tested.

    Source: Nah et al. (2017), Deep multi-scale convolutional neural network for dynamic scene deblurring,
    https://arxiv.org/abs/1612.02177, equation 2.

    Args:
        spread: The point spread function; the path of a shaken camera, 9 pixels, if None.
        gamma: The response of the camera.
    """

    def __init__(self, spread: PointSpread | None = None, gamma: float = 2.2) -> None:
        super().__init__()
        self.blur, self.gamma = ReflectBlur(spread or MotionSpread(9)), gamma
        need_positive(self, "gamma")

    @property
    def random(self) -> bool:
        return self.blur.random

    def check(self, shape: tuple[int, int, int], names: Sequence[str] = ()) -> None:
        self.blur.check(shape, names)

    def prepare(self, images: Images) -> Operator:
        ready = self.with_buffers(images)
        ready.blur = self.blur.prepare(images)
        return ready

    def forward(self, x: Tensor) -> Tensor:
        return respond(self.blur(respond(x, self.gamma)), 1 / self.gamma)

    def pinv(self, y: Tensor) -> Tensor:
        """Y itself, a blurred image."""
        return y
