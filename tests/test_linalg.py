"""Matrix-free algebra against dense algebra."""

import pytest
import torch

from lightning_inv.linalg import conjugate_gradient, inner, orthonormal_basis


def test_conjugate_gradient_solves_each_of_a_batch() -> None:
    factor = torch.randn(3, 6, 6, dtype=torch.double)
    A, b = factor @ factor.mT + torch.eye(6), torch.randn(3, 6, dtype=torch.double)
    x = conjugate_gradient(lambda v: (A @ v[..., None])[..., 0], b, iterations=30)
    torch.testing.assert_close(x, torch.linalg.solve(A, b))


@pytest.mark.parametrize("iterations", [50, 500])
@pytest.mark.parametrize(("rows", "decay"), [(40, 0.0), (190, 0.0), (192, 3.0)])
def test_conjugate_gradient_of_a_singular_matrix_ends_at_the_least_residual(
    rows: int, decay: float, iterations: int
) -> None:
    """What b has outside the range of A is rounding; it must not grow however long the search is."""
    scale = torch.logspace(0, -decay, rows)[:, None]
    H = scale * torch.randn(2, rows, 192) / 192**0.5
    y = (H @ torch.randn(2, 192, 1))[..., 0]
    x = conjugate_gradient(
        lambda v: (H.mT @ (H @ v[..., None]))[..., 0], (H.mT @ y[..., None])[..., 0], iterations
    )
    least = (torch.linalg.pinv(H.double()) @ y.double()[..., None])[..., 0]
    assert (x.norm(dim=1) <= 1.01 * least.norm(dim=1)).all()
    residual = (H @ x[..., None])[..., 0] - y
    assert (residual.norm(dim=1) <= (0.2 if decay else 0.05 if rows == 190 else 1e-5) * y.norm(dim=1)).all()


def test_conjugate_gradient_of_zero_is_zero() -> None:
    assert torch.equal(conjugate_gradient(lambda v: v, torch.zeros(2, 4)), torch.zeros(2, 4))


def test_inner_is_one_number_an_image() -> None:
    a, b = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(inner(a, b).flatten(), torch.stack([(a[i] * b[i]).sum() for i in range(2)]))


def test_basis_is_orthonormal_and_begins_with_its_argument() -> None:
    first = torch.tensor([1.0, 2.0, -2.0])
    basis = orthonormal_basis(first)
    torch.testing.assert_close(basis @ basis.mT, torch.eye(3))
    torch.testing.assert_close(basis[:, 0], first / 3)
