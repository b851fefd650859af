"""Linear operators whose adjoint is found by differentiation."""

import torch
from torch import Tensor

from lightning_inv.operators.base import Images, LinearOperator, Operator


class Differentiated(LinearOperator):
    """A linear map given by ``forward`` alone; its adjoint is that of automatic differentiation.

    It costs one call of ``forward`` and one of its derivative. ``prepare`` must have been called, since y
    does not tell the shape of x.
    """

    shape: tuple[int, int, int]

    def with_buffers(self, images: Images, **buffers: Tensor) -> Operator:
        ready = super().with_buffers(images, **buffers)
        ready.shape = images.shape
        return ready

    def adjoint(self, y: Tensor) -> Tensor:
        again = torch.is_grad_enabled() and y.requires_grad
        with torch.enable_grad():
            x = y.new_zeros(len(y), *self.shape).requires_grad_()
            (x,) = torch.autograd.grad(self(x), x, y, create_graph=again)
        return x
