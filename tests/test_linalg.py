"""Matrix-free algebra against dense algebra."""

import torch

from lightning_inv.linalg import conjugate_gradient, inner, orthonormal_basis


def test_conjugate_gradient_solves_each_of_a_batch() -> None:
    factor = torch.randn(3, 6, 6, dtype=torch.double)
    A, b = factor @ factor.mT + torch.eye(6), torch.randn(3, 6, dtype=torch.double)
    x = conjugate_gradient(lambda v: (A @ v[..., None])[..., 0], b, iterations=30)
    torch.testing.assert_close(x, torch.linalg.solve(A, b))


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
