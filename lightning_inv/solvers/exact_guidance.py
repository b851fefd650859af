"""Guidance by the exact E[x | x_t, y], for priors in which it is known."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate, GaussianDenoiser, MeteredDenoiser, MixtureDenoiser
from lightning_inv.solvers.base import Problem
from lightning_inv.solvers.guided import Guided


@dataclass(frozen=True)
class ExactGuidance(Guided):
    """The reference that is right: for a Gaussian prior, or a mixture of them, E[x | x_t, y] is known.

    Each component N(m, C) of p(x | x_t) becomes N(m + K (y - A m), (I - K A) C), with
    K = C A^T (A C A^T + sigma_y^2 I)^+ and a weight in proportion to its own times N(y; A m, A C A^T +
    sigma_y^2 I). What is left of an error is that of the steps. All is dense: for small images only.

    Args:
        steps: The number of denoising steps.
        eta: The share of fresh noise: 0 for DDIM, 1 for DDPM.
        spacing: How the times are spaced.
        travel: Which stretches of the way are walked several times; none if None.
    """

    any_prior = False

    steps: int = 100

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        if not isinstance(known(prior), GaussianDenoiser | MixtureDenoiser):
            raise TypeError(
                "ExactGuidance needs a prior that is a Gaussian or a mixture of Gaussians, "
                f"got {type(known(prior)).__name__}; MMPS can do without."
            )

    def estimate(self, problem: Problem, x_t: Tensor, t: Tensor) -> Estimate:
        prior, A, y = known(problem.prior), problem.matrix.double(), problem.y.flatten(1).double()
        mixed = isinstance(prior, MixtureDenoiser)
        components = list(prior.components) if mixed else [prior]
        weights = prior.responsibilities(x_t, t) if mixed else torch.ones(len(x_t), 1).to(y)
        means, logs = [], []
        for component, weight in zip(components, weights.unbind(1), strict=True):
            m, C = component(x_t, t).x.flatten(1).double(), component.covariance(t)
            G = A @ C @ A.mT + problem.sigma_y.double().view(-1, 1, 1) ** 2 * torch.eye(A.shape[1]).to(A)
            values, basis = torch.linalg.eigh(G)
            seen = values > 1e-9 * values.amax(1, keepdim=True)
            apart = ((y - (A @ m[..., None])[..., 0])[:, None] @ basis)[:, 0]
            solved = torch.where(seen, apart / values, 0.0)
            means.append(m + ((solved[:, None] @ basis.mT) @ A @ C)[:, 0])
            size = torch.where(seen, values, 1.0).log().sum(1)
            logs.append(weight.log() - (apart * solved).sum(1) / 2 - size / 2)
        share = torch.stack(logs, 1).softmax(1)
        x = (share[..., None] * torch.stack(means, 1)).sum(1).view_as(x_t).to(x_t.dtype)
        return problem.prior.from_x(x, x_t, t)


def known(prior: Denoiser) -> Denoiser:
    """The prior itself, if it is one that is metered."""
    return prior.denoiser if isinstance(prior, MeteredDenoiser) else prior
