"""Operators against independent references and hand-made answers."""

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import SHAPE, images
from families import B
from PIL import Image
from scipy.linalg import hadamard
from skimage.transform import radon

from lightning_inv.noise import NoiseStream
from lightning_inv.operators import (
    JPEG,
    BicubicDownsampling,
    BlockAverage,
    BoxMask,
    CartesianMask,
    CircularBlur,
    Composition,
    FourierSubsampling,
    GaussianKernel,
    GaussianSpread,
    Grayscale,
    HalfMask,
    HighDynamicRange,
    Images,
    Inpainting,
    InverseMask,
    LinearComposition,
    LinearStack,
    MotionSpread,
    Operator,
    PhaseRetrieval,
    Quantization,
    Radon,
    RandomMask,
    ReflectBlur,
    SeparableBlur,
    StrokeMask,
    TextMask,
    UniformKernel,
    WalshHadamard,
)


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
def test_blur_is_a_convolution_with_its_taps(kernel: GaussianKernel) -> None:
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
        (SeparableBlur(GaussianKernel(3, -1.0)), r"std must be positive and finite, got -1\.0"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Operator) else "",
)
def test_check_says_what_does_not_fit(operator: Operator, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operator.check(SHAPE)


def test_grayscale_needs_three_channels() -> None:
    with pytest.raises(ValueError, match=r"needs images of 3 channels, got shape \(1, 8, 8\)"):
        Grayscale().check((1, 8, 8))


def test_bicubic_is_that_of_pillow_away_from_the_border() -> None:
    x = torch.rand(1, 1, 64, 48)
    low = BicubicDownsampling(4).prepare(Images.unnamed((1, 64, 48)))(x)[0, 0].numpy()
    expected = np.asarray(Image.fromarray(x[0, 0].numpy()).resize((12, 16), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(low[2:-2, 2:-2], expected[2:-2, 2:-2], atol=1e-5)


def test_singular_values_of_bicubic_are_those_published() -> None:
    s = BicubicDownsampling(4).prepare(Images.unnamed((1, 64, 64))).s.flatten()
    one = s.max().sqrt()  # both factors have the same largest value
    assert float(one) == pytest.approx(0.5, abs=1e-3)
    assert float(s[s > 0].min().sqrt()) == pytest.approx(0.352, abs=1e-3)


@pytest.mark.parametrize("kind", [CircularBlur, ReflectBlur])
@pytest.mark.parametrize("spread", [MotionSpread(5), GaussianSpread(5, 0.8)], ids=lambda s: type(s).__name__)
def test_blurs_are_convolutions_with_each_image_its_kernel(kind: type, spread: MotionSpread) -> None:
    A, x = kind(spread).prepare(images(B)), torch.randn(B, *SHAPE)
    kernels = spread.draw(images(B).rng).expand(B, 1, 5, 5)
    mode = "circular" if kind is CircularBlur else "reflect"
    for b in range(B):
        weight = kernels[b].flip((-2, -1)).expand(3, 1, 5, 5)
        expected = F.conv2d(F.pad(x[b : b + 1], (2, 2, 2, 2), mode=mode), weight, groups=3)
        torch.testing.assert_close(A(x)[b : b + 1], expected, atol=1e-5, rtol=1e-5)


def test_a_kernel_larger_than_a_periodic_image_is_wrapped() -> None:
    A = CircularBlur(GaussianSpread(61, 3.0)).prepare(Images.unnamed((1, 8, 8)))
    torch.testing.assert_close(A(torch.ones(1, 1, 8, 8)), torch.ones(1, 1, 8, 8))


def test_motion_kernels_differ_and_sum_to_one() -> None:
    kernels = MotionSpread(31, 0.5).draw(images(20).rng)
    assert kernels.shape == (20, 1, 31, 31)
    torch.testing.assert_close(kernels.sum((1, 2, 3)), torch.ones(20))
    assert (kernels[0] != kernels[1]).any()
    assert (kernels >= 0).all()


def test_a_motion_without_bends_is_a_line() -> None:
    kernel = MotionSpread(31, 0.0).draw(images(1).rng)[0, 0]
    row, column = kernel.nonzero().double().T - 15
    weights = kernel[kernel > 0].double()
    spread = torch.cov(torch.stack([row, column]), aweights=weights)
    assert torch.linalg.eigvalsh(spread)[0] < 0.5 < 10 < torch.linalg.eigvalsh(spread)[1]


def test_walsh_hadamard_coefficients_are_those_of_the_matrix() -> None:
    A, x = WalshHadamard(4).prepare(Images.unnamed((2, 4, 8), B)), torch.randn(B, 2, 4, 8)
    expected = x.flatten(2) @ torch.from_numpy(hadamard(32)).float() / 32**0.5
    torch.testing.assert_close(A(x), expected[..., A.kept])
    assert A.kept.tolist() == WalshHadamard(4).prepare(Images.unnamed((1, 8, 4))).kept.tolist()
    assert A.kept.tolist() != WalshHadamard(4, seed=1).prepare(Images.unnamed((1, 8, 4))).kept.tolist()


def test_fourier_samples_are_those_of_numpy() -> None:
    A = FourierSubsampling(RandomMask(1.0)).prepare(Images.unnamed((2, 7, 8)))
    x = torch.randn(1, 2, 7, 8)
    z = x[0, 0].numpy() + 1j * x[0, 1].numpy()
    expected = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(z), norm="ortho"))
    np.testing.assert_allclose(A(x)[0].numpy(), np.stack([expected.real, expected.imag]), atol=1e-5)


def test_projections_are_those_of_scikit_image() -> None:
    """Up to the half pixel by which its detectors are off the middle, where the image is odd."""
    u = torch.linspace(-1, 1, 49)
    x = torch.exp(-4 * ((u[:, None] - 0.2) ** 2 + 2 * (u + 0.1) ** 2))[None, None]
    found = Radon(6).prepare(Images.unnamed((1, 49, 49)))(x)[0, 0].numpy() * 49
    expected = radon(x[0, 0].double().numpy(), theta=np.arange(6) * 30.0, circle=False)
    assert np.abs((found[:-1] + found[1:]) / 2 - expected[1:]).max() < 0.02 * expected.max()


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_grey_jpeg_is_that_of_pillow(quality: int) -> None:
    u = np.linspace(0, 6, 40)
    pixels = np.uint8(np.clip(128 + 60 * np.sin(u[:, None]) + 50 * np.cos(2 * u), 0, 255))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=quality)
    expected = np.asarray(Image.open(file)).astype(float)
    found = JPEG(quality)(torch.from_numpy(pixels)[None, None].float() / 127.5 - 1)[0, 0].numpy()
    assert np.abs((found + 1) * 127.5 - expected).mean() < 0.4  # Pillow rounds to whole levels


def test_colour_jpeg_is_near_that_of_pillow() -> None:
    u = np.linspace(0, 3, 48)
    grid = np.stack(
        [np.sin(u[:, None] + u), np.cos(u)[:, None] * np.ones(48), np.sin(2 * u) * np.ones((48, 1))]
    )
    pixels = np.uint8(128 + 90 * grid)
    file = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0)).save(file, "jpeg", quality=75, subsampling="4:2:0")
    expected = np.asarray(Image.open(file)).astype(float).transpose(2, 0, 1)
    found = (JPEG(75)(torch.from_numpy(pixels)[None].float() / 127.5 - 1)[0].numpy() + 1) * 127.5
    assert np.abs(found - expected).mean() < 2.0  # Pillow interpolates colour where ours repeats it


@pytest.mark.parametrize("operator", [JPEG(20), Quantization(3)], ids=lambda A: type(A).__name__)
def test_coding_twice_changes_nothing(operator: Operator) -> None:
    once = operator(torch.rand(2, 3, 32, 16) - 0.5)
    torch.testing.assert_close(operator(once), once, atol=1e-4, rtol=0)


def test_quantization_has_the_levels_of_its_bits() -> None:
    levels = Quantization(2)(torch.linspace(-1, 1, 1000).view(1, 1, 1, -1)).unique()
    torch.testing.assert_close(levels, torch.tensor([-1, -1 / 3, 1 / 3, 1]))


def test_phase_retrieval_cannot_tell_sign_and_half_a_turn() -> None:
    A, x = PhaseRetrieval(), torch.randn(2, 1, 8, 12)
    assert A(x).shape == (2, 1, 12, 18)
    torch.testing.assert_close(A(-x), A(x))
    torch.testing.assert_close(A(x.flip((-2, -1))), A(x), atol=1e-4, rtol=1e-4)
    assert float(A(x).square().sum()) == pytest.approx(float(x.square().sum()), rel=1e-5)


def test_half_masks_hide_the_half_they_name() -> None:
    masks = {hidden: HalfMask(hidden).draw(images(1))[0, 0] for hidden in ("left", "right", "top", "bottom")}
    assert all(mask.sum() == 32 for mask in masks.values())
    assert masks["left"][:, 0].sum() == masks["top"][0].sum() == masks["right"][:, 7].sum() == 0
    assert masks["bottom"][7].sum() == 0


def test_outpainting_sees_the_box_alone() -> None:
    box, outside = BoxMask(4, 2), InverseMask(BoxMask(4, 2))
    assert torch.equal(box.draw(images(1)) + outside.draw(images(1)), torch.ones(1, 1, 8, 8))


def test_text_covers_some_of_the_image() -> None:
    mask = TextMask().draw(Images.unnamed((1, 64, 96)))
    assert 0.5 < mask.mean() < 0.95
    assert mask[..., :16].min() == mask[..., -16:].min() == 0


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.2), (0.2, 0.3), (0.3, 0.4)])
def test_strokes_cover_the_share_they_are_told(low: float, high: float) -> None:
    mask = StrokeMask(low, high).draw(Images.unnamed((3, 32, 48), 30))
    hidden = 1 - mask.mean((1, 2, 3))
    assert mask.shape == (30, 1, 32, 48)
    assert ((hidden >= low) & (hidden <= high)).all()
    assert (mask[0] != mask[1]).any()


def test_cartesian_lines_keep_the_middle() -> None:
    mask = CartesianMask(4.0, 0.125).draw(Images.unnamed((2, 16, 32), 10))
    assert (mask.sum((1, 2, 3)) == 8 * 16).all()
    assert (mask[..., 14:18] == 1).all()
    assert (mask == mask[:, :, :1]).all()
    assert (mask[0] != mask[1]).any()


def test_compositions_and_stacks_do_what_they_say() -> None:
    low, blur = BlockAverage(2), SeparableBlur(GaussianKernel(3, 0.6))
    x = torch.randn(B, *SHAPE)
    both = LinearComposition(low, blur).prepare(images(B))
    torch.testing.assert_close(both(x), F.avg_pool2d(blur.prepare(images(B))(x), 2))
    stack = LinearStack([low, blur]).prepare(images(B))
    parts = [low.prepare(images(B))(x).flatten(1), blur.prepare(images(B))(x).flatten(1)]
    torch.testing.assert_close(stack(x), torch.cat(parts, 1))
    clipped = Composition(HighDynamicRange(), blur).prepare(images(B))
    torch.testing.assert_close(clipped(x), (2 * blur.prepare(images(B))(x)).clamp(-1, 1))
