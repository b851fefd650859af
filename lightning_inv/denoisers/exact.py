"""Exact denoisers of distributions that are known; every solver can be checked against them."""

import torch
from torch import Tensor

from lightning_inv.denoisers.base import Denoiser, Estimate
from lightning_inv.schedules import LinearSchedule, Schedule


class GaussianDenoiser(Denoiser):
    """The exact denoiser of x ~ N(mean, covariance).

    E[x | x_t] = mean + alpha_t C (alpha_t^2 C + sigma_t^2 I)^-1 (x_t - alpha_t mean), computed in the
    eigenbasis of the covariance C, in double precision.

    Args:
        mean: The mean, shape ``(C, H, W)``.
        covariance: The covariance, shape ``(n, n)`` with n = C H W, symmetric and positive semi-definite.
        schedule: The noise schedule; the linear one if None.

    Raises:
        ValueError: The covariance does not fit the mean, is not symmetric, or has a negative eigenvalue.
    """

    def __init__(self, mean: Tensor, covariance: Tensor, schedule: Schedule | None = None) -> None:
        super().__init__()
        n = mean.numel()
        if mean.ndim != 3 or covariance.shape != (n, n):
            raise ValueError(
                f"mean must be (C, H, W) and covariance (n, n) with n = C H W, "
                f"got {tuple(mean.shape)} and {tuple(covariance.shape)}."
            )
        if not torch.allclose(covariance, covariance.mT):
            raise ValueError("covariance must be symmetric.")
        variances, basis = torch.linalg.eigh(covariance.double())
        if variances[0] < -1e-6 * variances[-1].abs():
            raise ValueError(
                f"covariance must be positive semi-definite, got an eigenvalue of {variances[0]}."
            )
        self.schedule, self.shape = schedule or LinearSchedule(), tuple(mean.shape)
        self.register_buffer("mean", mean)
        self.register_buffer("variances", variances.clamp(min=0))
        self.register_buffer("basis", basis)

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        alpha_t, sigma_t = (
            scale.double().flatten(1) if scale.ndim else scale.double() for scale in self.schedule(t)
        )
        residual = (x_t.double() - self._scaled_mean(alpha_t)).flatten(1) @ self.basis
        gain = alpha_t * self.variances / (alpha_t**2 * self.variances + sigma_t**2)
        x = self.mean + ((gain * residual) @ self.basis.mT).view_as(x_t)
        return self.from_x(x.to(x_t.dtype), x_t, t)

    def log_density(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The log-density of x_t, shape ``(B,)``, in double precision, less the constant -n/2 log(2 pi)."""
        alpha_t, sigma_t = (
            scale.double().flatten(1) if scale.ndim else scale.double() for scale in self.schedule(t)
        )
        residual = (x_t.double() - self._scaled_mean(alpha_t)).flatten(1) @ self.basis
        variances = (alpha_t**2 * self.variances + sigma_t**2).expand_as(residual)
        return -0.5 * (residual**2 / variances + variances.log()).sum(1)

    def covariance(self, t: Tensor) -> Tensor:
        """Cov[x | x_t], which is alike for all x_t, shape ``(n, n)``, in double precision.

        Args:
            t: A time, shape ``()``.
        """
        alpha_t, sigma_t = (scale.double() for scale in self.schedule(t))
        left = self.variances * sigma_t**2 / (alpha_t**2 * self.variances + sigma_t**2)
        return (self.basis * left) @ self.basis.mT

    def _scaled_mean(self, alpha_t: Tensor) -> Tensor:
        return alpha_t.view(-1, 1, 1, 1) * self.mean if alpha_t.ndim else alpha_t * self.mean


class MixtureDenoiser(Denoiser):
    """The exact denoiser of a mixture of Gaussians: estimates weighted by p(component | x_t).

    Args:
        weights: The probabilities of the components, shape ``(K,)``.
        components: One ``GaussianDenoiser`` a component, all of one schedule and shape.

    Raises:
        ValueError: The weights are not K positive numbers of sum 1, or the shapes differ.
    """

    def __init__(self, weights: Tensor, components: list[GaussianDenoiser]) -> None:
        super().__init__()
        if (
            len(weights) != len(components)
            or weights.min() <= 0
            or not torch.isclose(weights.sum(), weights.new_ones(()))
        ):
            raise ValueError(
                f"weights must be {len(components)} positive numbers of sum 1, got {weights.tolist()}."
            )
        if len({component.shape for component in components}) > 1:
            raise ValueError(f"components differ in shape: {[component.shape for component in components]}.")
        self.components = torch.nn.ModuleList(components)
        self.schedule, self.shape = components[0].schedule, components[0].shape
        self.register_buffer("weights", weights.double())

    def responsibilities(self, x_t: Tensor, t: Tensor) -> Tensor:
        """p(component | x_t), shape ``(B, K)``."""
        joint = torch.stack([c.log_density(x_t, t) for c in self.components], 1) + self.weights.log()
        return joint.softmax(1)

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Estimate:
        r = self.responsibilities(x_t, t).to(x_t.dtype)
        estimates = torch.stack([component(x_t, t).x for component in self.components], 1)
        return self.from_x((r[..., None, None, None] * estimates).sum(1), x_t, t)
