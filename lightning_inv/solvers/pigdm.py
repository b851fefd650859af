"""Pseudo-inverse guided diffusion models.

Source: Song et al. (2023), Pseudoinverse-Guided Diffusion Models for Inverse Problems, ICLR,
https://openreview.net/forum?id=9_gsMA8MRKQ.
"""

from dataclasses import dataclass

from torch import Tensor

from lightning_inv.constraints import Measurement
from lightning_inv.denoisers import Denoiser, Estimate
from lightning_inv.operators import LinearOperator, Operator
from lightning_inv.solvers.base import Problem, need_pinv
from lightning_inv.solvers.guided import Guided
from lightning_inv.solvers.jacobian import linearized


@dataclass(frozen=True)
class PiGDM(Guided):
    """Takes p(x | x_t) for N(x_hat, r_t^2 I) with r_t^2 = sigma_t^2, right for the prior N(0, I).

    Then grad log p(y | x_t) = J^T A^T (r_t^2 A A^T + sigma_y^2 I)^-1 (y - A x_hat) = J^T (x' - x_hat) / r_t^2
    where x' = argmin |y - A x|^2 + (sigma_y / r_t)^2 |x - x_hat|^2 and J is the network's Jacobian, so that

        E[x | x_t, y] = x_hat + J^T (x' - x_hat) / alpha_t.

    At high noise the Jacobian of a trained network is far from exact, and its errors, divided by alpha_t here
    and in J, grow without bound. So the paper weighs the second term otherwise, and leaves eps as it was: as
    in the code of RED-diff, x_s is that of DDIM plus alpha_s alpha_t J^T (x' - x_hat). With ``exact`` it is
    the formula. Of an operator that is not linear, x' - x_hat = A^+(y) - A^+(A(x_hat)), the form for
    sigma_y = 0; the code of RED-diff has that form only, whatever the noise.

    Args:
        steps: The number of denoising steps, each one forward and one backward evaluation.
        exact: Whether guidance is that of the formula; for priors whose Jacobian is exact.
        eta: The share of fresh noise: 0 for DDIM, 1 for DDPM.
        spacing: How the times are spaced.
        travel: Which stretches of the way are walked several times; none if None.
    """

    requires = Operator

    steps: int = 100
    exact: bool = False

    def check(self, prior: Denoiser, measurement: Measurement | None) -> None:
        super().check(prior, measurement)
        need_pinv("PiGDM", measurement, "DPS")

    def estimate(self, problem: Problem, x_t: Tensor, t: Tensor) -> Estimate:
        (alpha_t, sigma_t), A, y = problem.prior.schedule(t), problem.measurement.operator, problem.y
        (x, eps), pull = linearized(problem, x_t, t)
        if isinstance(A, LinearOperator):
            apart = A.prox(x, y, (problem.sigma_y / sigma_t) ** 2) - x
        else:
            apart = A.pinv(y) - A.pinv(A(x))
        if self.exact:
            return problem.prior.from_x(x + pull(apart) / alpha_t, x_t, t)
        return Estimate(x + alpha_t * pull(apart), eps)
