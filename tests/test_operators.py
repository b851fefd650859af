"""Laws that every operator obeys, and the dense matrices that linear ones equal."""

import pytest
import torch
from families import LINEAR, OPERATORS, SPECTRAL, B
from torch import Tensor

from lightning_inv.linalg import inner
from lightning_inv.operators import LinearOperator, SVDOperator

spectral = pytest.mark.parametrize("name", SPECTRAL)
linear = pytest.mark.parametrize("name", LINEAR)
every = pytest.mark.parametrize("name", OPERATORS)


def dense(A: LinearOperator, shape: tuple[int, int, int], b: int = 0) -> Tensor:
    """The matrix of A for image b, shape ``(m, n)``: one column for each pixel."""
    n = shape[0] * shape[1] * shape[2]
    columns = [A(pixel.expand(B, *shape))[b].flatten() for pixel in torch.eye(n).view(n, *shape)]
    return torch.stack(columns, 1)


@linear
def test_adjoint(name: str) -> None:
    A, x = LINEAR[name].prepare(), torch.randn(B, *LINEAR[name].shape)
    y = torch.randn_like(A(x))
    torch.testing.assert_close(
        inner(A(x), y).flatten(), inner(x, A.adjoint(y)).flatten(), atol=1e-4, rtol=1e-4
    )


@linear
def test_linearity(name: str) -> None:
    A, x, z = LINEAR[name].prepare(), *torch.randn(2, B, *LINEAR[name].shape)
    torch.testing.assert_close(A(2 * x - 3 * z), 2 * A(x) - 3 * A(z), atol=1e-4, rtol=1e-4)


@spectral
def test_V_is_orthogonal(name: str) -> None:
    A, x = SPECTRAL[name].prepare(), torch.randn(B, *SPECTRAL[name].shape)
    torch.testing.assert_close(A.V(A.Vt(x)), x, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(A.Vt(A.V(x)), x, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(inner(A.V(x), A.V(x)), inner(x, x), atol=1e-4, rtol=1e-4)


@spectral
def test_U_is_orthogonal_where_something_is_seen(name: str) -> None:
    A = SPECTRAL[name].prepare()
    z = torch.randn(B, *SPECTRAL[name].shape) * A.seen
    torch.testing.assert_close(A.Ut(A.U(z)), z, atol=1e-5, rtol=1e-5)


@spectral
def test_factors_multiply_to_the_matrix(name: str) -> None:
    A, shape = SPECTRAL[name].prepare(), SPECTRAL[name].shape
    for b in (0, B - 1):
        values = torch.linalg.svdvals(dense(A, shape, b).double())
        s = A.s.expand(B, *shape)[b].flatten().double().sort(descending=True).values
        expected = torch.zeros_like(s)
        expected[: len(values)] = values[: len(s)]
        torch.testing.assert_close(s, expected, atol=1e-5, rtol=1e-4)


@spectral
def test_the_adjoint_of_the_factors_is_that_of_differentiation(name: str) -> None:
    A, x = SPECTRAL[name].prepare(), torch.randn(B, *SPECTRAL[name].shape, requires_grad=True)
    y = torch.randn_like(A(x))
    (expected,) = torch.autograd.grad(A(x), x, y)
    torch.testing.assert_close(A.adjoint(y), expected, atol=1e-5, rtol=1e-4)


@linear
def test_pinv_is_that_of_the_matrix(name: str) -> None:
    A, shape = LINEAR[name].prepare(), LINEAR[name].shape
    y = A(torch.randn(B, *shape))
    expected = torch.linalg.pinv(dense(A, shape).double(), rtol=1e-4) @ y[0].flatten().double()
    found = A.pinv(y)[0].flatten().double()
    torch.testing.assert_close(found, expected, atol=5e-3, rtol=1e-3)


@linear
def test_pinv_explains_what_was_seen(name: str) -> None:
    A = LINEAR[name].prepare()
    y = A(torch.randn(B, *LINEAR[name].shape))
    torch.testing.assert_close(A(A.pinv(y)), y, atol=2e-3, rtol=0)


@linear
def test_prox_is_stationary(name: str) -> None:
    A, rho = LINEAR[name].prepare(), 0.3
    z = torch.randn(B, *LINEAR[name].shape)
    y = A(torch.randn_like(z))
    x = A.prox(z, y, rho)
    gradient = A.adjoint(A(x) - y) + rho * (x - z)
    torch.testing.assert_close(gradient, torch.zeros_like(x), atol=1e-4, rtol=0)


@linear
def test_prox_without_weight_is_the_nearest_explanation(name: str) -> None:
    A = LINEAR[name].prepare()
    z, y = torch.randn(2, B, *LINEAR[name].shape).unbind()
    y = A(y)
    torch.testing.assert_close(A.prox(z, y, 0.0), z + A.pinv(y - A(z)), atol=1e-4, rtol=1e-4)


@spectral
def test_conjugate_gradients_agree_with_the_factors(name: str) -> None:
    A = SPECTRAL[name].prepare()
    z = torch.randn(B, *SPECTRAL[name].shape)
    y = A(torch.randn_like(z))
    torch.testing.assert_close(LinearOperator.prox(A, z, y, 0.3), A.prox(z, y, 0.3), atol=1e-3, rtol=1e-3)


@linear
def test_prox_has_a_weight_an_image(name: str) -> None:
    A, rho = LINEAR[name].prepare(), torch.tensor([0.1, 0.5, 2.0, 0.3]).view(-1, 1, 1, 1)
    z, y = torch.randn(2, B, *LINEAR[name].shape).unbind()
    y = A(y)
    singles = [A.prox(z, y, float(one))[i] for i, one in enumerate(rho)]
    torch.testing.assert_close(A.prox(z, y, rho), torch.stack(singles), atol=1e-5, rtol=1e-4)


@every
def test_batch_equals_singles(name: str) -> None:
    case = OPERATORS[name]
    x = torch.randn(B, *case.shape)
    singles = [case.prepare(1, i)(x[i : i + 1]) for i in range(B)]
    torch.testing.assert_close(case.prepare()(x), torch.cat(singles), atol=1e-5, rtol=1e-5)


@every
def test_measuring_twice_gives_the_same(name: str) -> None:
    case = OPERATORS[name]
    x = torch.randn(B, *case.shape)
    A, again = case.prepare(), case.prepare()
    assert torch.equal(A(x), A(x))
    assert torch.equal(A(x), again(x))


@every
def test_nothing_is_measured_where_nothing_is_observed(name: str) -> None:
    A = OPERATORS[name].prepare()
    y = A(torch.randn(B, *OPERATORS[name].shape))
    assert torch.equal(y * A.observed(y), y)


@every
def test_the_shape_of_measurements_is_known_before(name: str) -> None:
    case = OPERATORS[name]
    assert case.operator.measured_shape(case.shape) == case.prepare()(torch.zeros(B, *case.shape)).shape[1:]


@every
def test_the_size_of_images_follows_from_that_of_measurements_or_is_not_told(name: str) -> None:
    case = OPERATORS[name]
    told = case.operator.image_size(case.operator.measured_shape(case.shape))
    assert told in (None, case.shape[1:])


@every
def test_images_can_be_recovered_from_what_pinv_gives(name: str) -> None:
    """A guess at least: of the right shape, finite, and kept where the measurement says nothing new."""
    case = OPERATORS[name]
    A, x = case.prepare(), torch.randn(B, *case.shape) / 2
    guess = A.pinv(A(x))
    assert guess.shape == x.shape
    assert guess.isfinite().all()


@every
def test_the_data_term_has_a_gradient(name: str) -> None:
    case = OPERATORS[name]
    A, x = case.prepare(), (torch.randn(B, *case.shape) / 3).requires_grad_()
    y = A(torch.randn(B, *case.shape) / 3).detach()
    (gradient,) = torch.autograd.grad((y - A(x)).square().sum(), x)
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).norm(dim=1) > 1e-3).all()


@every
def test_a_prepared_operator_does_not_change_the_one_it_came_from(name: str) -> None:
    case = OPERATORS[name]
    before = {key: value.clone() for key, value in case.operator.named_buffers()}
    case.prepare()
    after = dict(case.operator.named_buffers())
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_factors_are_svd_operators() -> None:
    assert all(isinstance(case.operator, SVDOperator) for case in SPECTRAL.values())
