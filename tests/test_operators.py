"""Laws that operators obey, and dense matrices that they equal."""

import pytest
import torch
import torch.nn.functional as F
from conftest import SHAPE, images
from torch import Tensor

from lightning_inv.linalg import inner
from lightning_inv.noise import NoiseStream
from lightning_inv.operators import (
    BlockAverage,
    BoxMask,
    GaussianKernel,
    Grayscale,
    HighDynamicRange,
    Identity,
    Images,
    Inpainting,
    LinearOperator,
    Operator,
    RandomMask,
    SeparableBlur,
    SVDOperator,
    UniformKernel,
)

B = 4

SPECTRAL = {
    "identity": Identity(),
    "random inpainting": Inpainting(RandomMask(0.4)),
    "box inpainting": Inpainting(BoxMask(3, 5)),
    "random box inpainting": Inpainting(BoxMask(3, 4, "random", margin=1)),
    "block average 2": BlockAverage(2),
    "block average 4": BlockAverage(4),
    "block average 8": BlockAverage(8),
    "gaussian blur": SeparableBlur(GaussianKernel(5, 0.8)),
    "uniform blur": SeparableBlur(UniformKernel(3)),
    "anisotropic blur": SeparableBlur(GaussianKernel(5, 0.6), GaussianKernel(3, 1.0)),
    "grayscale": Grayscale(),
}
OPERATORS = {**SPECTRAL, "high dynamic range": HighDynamicRange()}


@pytest.fixture(params=SPECTRAL)
def A(request: pytest.FixtureRequest) -> SVDOperator:
    return SPECTRAL[request.param].prepare(images(B))


def dense(A: LinearOperator, b: int = 0) -> Tensor:
    """The matrix of A for image b, shape ``(m, n)``: one column for each pixel."""
    n = SHAPE[0] * SHAPE[1] * SHAPE[2]
    columns = [A(pixel.expand(B, *SHAPE))[b].flatten() for pixel in torch.eye(n).view(n, *SHAPE)]
    return torch.stack(columns, 1)


def test_adjoint(A: SVDOperator) -> None:
    x = torch.randn(B, *SHAPE)
    y = torch.randn_like(A(x))
    torch.testing.assert_close(inner(A(x), y), inner(x, A.adjoint(y)), atol=1e-4, rtol=1e-4)


def test_V_is_orthogonal(A: SVDOperator) -> None:
    x = torch.randn(B, *SHAPE)
    torch.testing.assert_close(A.V(A.Vt(x)), x, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(A.Vt(A.V(x)), x, atol=1e-5, rtol=1e-5)


def test_U_is_orthogonal_where_something_is_seen(A: SVDOperator) -> None:
    z = torch.randn(B, *SHAPE) * A.seen
    torch.testing.assert_close(A.Ut(A.U(z)), z, atol=1e-5, rtol=1e-5)


def test_factors_multiply_to_the_matrix(A: SVDOperator) -> None:
    matrix = dense(A)
    values = torch.linalg.svdvals(matrix.double())
    s = A.s.expand(B, *SHAPE)[0].flatten().double().sort(descending=True).values
    expected = torch.zeros_like(s)
    expected[: len(values)] = values
    torch.testing.assert_close(s, expected, atol=1e-5, rtol=1e-4)


def test_pinv_is_that_of_the_matrix(A: SVDOperator) -> None:
    x = torch.randn(B, *SHAPE)
    y = A(x)
    expected = torch.linalg.pinv(dense(A).double(), rtol=1e-4) @ y[0].flatten().double()
    torch.testing.assert_close(A.pinv(y)[0].flatten().double(), expected, atol=2e-3, rtol=1e-3)


def test_pinv_explains_what_was_seen(A: SVDOperator) -> None:
    y = A(torch.randn(B, *SHAPE))
    torch.testing.assert_close(A(A.pinv(y)), y, atol=2e-3, rtol=0)


def test_prox_is_stationary(A: SVDOperator) -> None:
    z, rho = torch.randn(B, *SHAPE), 0.3
    y = A(torch.randn(B, *SHAPE))
    x = A.prox(z, y, rho)
    gradient = A.adjoint(A(x) - y) + rho * (x - z)
    torch.testing.assert_close(gradient, torch.zeros_like(x), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", SPECTRAL)
def test_conjugate_gradients_agree_with_the_factors(name: str) -> None:
    A = SPECTRAL[name].prepare(images(B))
    z, y = torch.randn(B, *SHAPE), A(torch.randn(B, *SHAPE))
    torch.testing.assert_close(LinearOperator.prox(A, z, y, 0.3), A.prox(z, y, 0.3), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", OPERATORS)
def test_batch_equals_singles(name: str) -> None:
    x = torch.randn(B, *SHAPE)
    together = OPERATORS[name].prepare(images(B))(x)
    singles = [OPERATORS[name].prepare(images(1, i))(x[i : i + 1]) for i in range(B)]
    torch.testing.assert_close(together, torch.cat(singles))


@pytest.mark.parametrize("name", OPERATORS)
def test_measuring_twice_gives_the_same(name: str) -> None:
    x = torch.randn(B, *SHAPE)
    A, again = OPERATORS[name].prepare(images(B)), OPERATORS[name].prepare(images(B))
    assert torch.equal(A(x), A(x))
    assert torch.equal(A(x), again(x))


@pytest.mark.parametrize("name", OPERATORS)
def test_nothing_is_measured_where_nothing_is_observed(name: str) -> None:
    A = OPERATORS[name].prepare(images(B))
    y = A(torch.randn(B, *SHAPE))
    assert torch.equal(y * A.observed(y), y)


def test_random_masks_differ_between_images_and_keep_the_fraction() -> None:
    mask = Inpainting(RandomMask(0.4)).prepare(images(B)).s
    assert mask.flatten(1).sum(1).tolist() == [round(0.4 * 64)] * B
    assert (mask[0] != mask[1]).any()


def test_box_hides_a_box_in_the_middle() -> None:
    mask = Inpainting(BoxMask(4, 2)).prepare(images(B)).s[0, 0]
    expected = torch.ones(8, 8)
    expected[2:6, 3:5] = 0
    assert torch.equal(mask, expected)


def test_random_boxes_keep_their_size_and_margin() -> None:
    mask = Inpainting(BoxMask(3, 4, "random", margin=1)).prepare(images(100)).s
    assert ((1 - mask).flatten(1).sum(1) == 12).all()
    border = torch.ones(8, 8, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert (mask[:, 0, border] == 1).all()
    assert (mask[:, 0, 1:-1, 1:-1].amin(0) == 0).all()  # every place that it may take, it takes


def test_block_average_averages_blocks() -> None:
    x = torch.randn(B, *SHAPE)
    torch.testing.assert_close(BlockAverage(4).prepare(images(B))(x), F.avg_pool2d(x, 4))


def test_grayscale_is_the_mean_of_the_channels() -> None:
    x = torch.randn(B, *SHAPE)
    torch.testing.assert_close(Grayscale()(x), x.mean(1, keepdim=True))


def test_blur_of_columns_and_of_rows_are_kept_apart() -> None:
    vertical, horizontal = GaussianKernel(5, 0.6), GaussianKernel(3, 2.0)
    x = torch.randn(2, 3, 9, 6)
    A = SeparableBlur(vertical, horizontal).prepare(
        Images((3, 9, 6), ["a", "b"], NoiseStream.of(0, [0, 1], "t"))
    )
    taps = torch.outer(vertical.taps(), horizontal.taps()).float().expand(3, 1, 5, 3)
    torch.testing.assert_close(A(x), F.conv2d(x, taps, padding=(2, 1), groups=3), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kernel", [GaussianKernel(5, 0.8), UniformKernel(3)], ids=repr)
def test_blur_is_a_convolution_with_all_taps(kernel: GaussianKernel) -> None:
    x, k = torch.randn(B, *SHAPE), kernel.taps().float()
    weight = (k[:, None] * k).expand(3, 1, -1, -1)
    expected = F.conv2d(x, weight, padding=len(k) // 2, groups=3)
    torch.testing.assert_close(SeparableBlur(kernel).prepare(images(B))(x), expected, atol=1e-5, rtol=1e-5)


def test_ill_conditioned_blur_inverts_to_finite_numbers() -> None:
    A = SeparableBlur(GaussianKernel(7, 1.5)).prepare(images(B))
    assert A.s.min() < A.cutoff
    assert torch.isfinite(A.pinv(A(torch.randn(B, *SHAPE)))).all()


def test_high_dynamic_range_saturates() -> None:
    x = torch.tensor([-0.9, -0.2, 0.0, 0.3, 0.8]).view(1, 1, 1, 5)
    assert HighDynamicRange()(x).flatten().tolist() == pytest.approx([-1, -0.4, 0, 0.6, 1])


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (BlockAverage(3), "factor=3 does not divide images of 8 x 8"),
        (Inpainting(RandomMask(0.0)), r"keep must be in \(0, 1\], got 0\.0"),
        (Inpainting(BoxMask(9, 2)), "box of 9 x 2 with margin 0 does not fit into 8 x 8"),
        (SeparableBlur(UniformKernel(4)), "width must be odd and positive, got 4"),
        (SeparableBlur(GaussianKernel(3, -1.0)), r"std must be positive, got -1\.0"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Operator) else "",
)
def test_check_says_what_does_not_fit(operator: Operator, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operator.check(SHAPE)


def test_grayscale_needs_three_channels() -> None:
    with pytest.raises(ValueError, match=r"needs images of 3 channels, got shape \(1, 8, 8\)"):
        Grayscale().check((1, 8, 8))
