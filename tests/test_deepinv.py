"""Operators of deepinv: by a stand-in with its methods, and by its own where it is installed."""

import pytest
import torch
from torch import Tensor, nn

from lightning_inv.operators import DeepinvLinear, DeepinvPhysics, Images, LinearOperator, check_operator


class Mirror(nn.Module):
    """Weighs pixels and mirrors them, by the methods of a LinearPhysics."""

    def __init__(self, size: int = 8) -> None:
        super().__init__()
        self.register_buffer("mask", torch.linspace(0.5, 1.5, size))

    def A(self, x: Tensor) -> Tensor:
        return (self.mask * x).flip(-1)

    def A_adjoint(self, y: Tensor) -> Tensor:
        return self.mask * y.flip(-1)


class Square(nn.Module):
    """A physics that is not linear."""

    def A(self, x: Tensor) -> Tensor:
        return x.square()


def test_a_linear_physics_obeys_the_laws() -> None:
    assert "<A x, w> = <x, A^T w>" in check_operator(DeepinvLinear(Mirror()), (2, 8, 8))


def test_a_linear_physics_has_a_pseudo_inverse() -> None:
    A = DeepinvLinear(Mirror()).prepare(Images.unnamed((2, 8, 8)))
    x = torch.randn(3, 2, 8, 8)
    torch.testing.assert_close(A.pinv(A(x)), x, atol=1e-4, rtol=1e-4)


def test_any_physics_measures() -> None:
    check_operator(DeepinvPhysics(Square()), (1, 8, 8))
    assert not isinstance(DeepinvPhysics(Square()), LinearOperator)


def test_a_physics_without_adjoint_is_not_linear() -> None:
    with pytest.raises(TypeError, match="Square has no A_adjoint; use DeepinvPhysics"):
        DeepinvLinear(Square())


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Mirror cannot measure images of shape \(1, 8, 5\)"):
        DeepinvLinear(Mirror()).check((1, 8, 5))


def test_results_of_another_mask_are_not_trusted() -> None:
    one, same, other = DeepinvLinear(Mirror()), DeepinvLinear(Mirror()), DeepinvLinear(Mirror())
    other.physics.mask[0] = 0.0
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()


PHYSICS = {
    "inpainting": lambda p: p.Inpainting((1, 16, 16), mask=0.5),
    "blur": lambda p: p.BlurFFT((1, 16, 16), filter=torch.tensor([[1.0, 3.0, 2.0]]).mT[None, None] / 6),
    "downsampling": lambda p: p.Downsampling(img_size=(1, 16, 16), factor=2, filter="bicubic"),
    "tomography": lambda p: p.Tomography(angles=12, img_width=16, normalize=True),
}


@pytest.mark.parametrize("name", PHYSICS)
def test_a_physics_of_deepinv_obeys_the_laws(name: str) -> None:
    physics = PHYSICS[name](pytest.importorskip("deepinv").physics)
    assert len(check_operator(DeepinvLinear(physics), (1, 16, 16))) >= 7
