"""Every solver once more, in NumPy and double precision, straight from its formulas; no code is shared.

An oracle takes a problem and ``draw``, which gives the next white noise, shape ``(R, n)``, and returns R
results, shape ``(R, n)``. With a Gaussian prior most are affine in the noise, so that mean and covariance
follow exactly; with a mixture they are simulated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Array = np.ndarray
Draw = Callable[[], Array]

BETAS = np.linspace(1e-4, 0.02, 1000)
ALPHA_BAR = np.concatenate([[1.0], np.cumprod(1 - BETAS)])


def alpha(t: int) -> float:
    return ALPHA_BAR[t] ** 0.5


def sigma(t: int) -> float:
    return (1 - ALPHA_BAR[t]) ** 0.5


def skipping(steps: int, T: int = 1000) -> list[int]:
    """From the step below T to 1, then 0; the steps divide T."""
    return [*range(T - T // steps + 1, 0, -(T // steps)), 0]


@dataclass
class World:
    """A mixture of Gaussians, and what was seen: y = A x + sigma_y z."""

    weights: Array
    means: Array
    covariances: Array
    A: Array
    y: Array
    sigma_y: float

    @property
    def n(self) -> int:
        return self.means.shape[1]

    def look(self, x_t: Array, t: int) -> tuple[Array, Array, Array]:
        """x_hat and eps_hat, shape ``(R, n)``, and d eps_hat / d x_t, shape ``(R, n, n)``."""
        a, b, I = alpha(t), sigma(t), np.eye(self.n)
        logs, estimates, spreads = [], [], []
        for weight, m, S in zip(self.weights, self.means, self.covariances, strict=True):
            total = a * a * S + b * b * I
            solved = np.linalg.solve(total, (x_t - a * m).T).T
            quadratic = ((x_t - a * m) * solved).sum(1)
            logs.append(np.log(weight) - 0.5 * (quadratic + np.linalg.slogdet(total)[1]))
            estimates.append(m + a * solved @ S)
            spreads.append(S - a * a * S @ np.linalg.solve(total, S))
        r = np.exp(np.array(logs) - np.max(logs, axis=0))
        r /= r.sum(0)
        x = np.einsum("kr,krn->rn", r, np.array(estimates))
        apart = np.array(estimates) - x
        cov = np.einsum("kr,kij->rij", r, np.array(spreads)) + np.einsum("kr,kri,krj->rij", r, apart, apart)
        return x, (x_t - a * x) / b, (I - a * a / (b * b) * cov) / b

    def pull(self, x: Array) -> Array:
        """The gradient of |y - A x|^2 / (2 m)."""
        return (x @ self.A.T - self.y) @ self.A / len(self.y)


def ddim(x: Array, eps: Array, t: int, s: int, eta: float, noise: Array) -> Array:
    c = eta * sigma(s) / sigma(t) * np.sqrt(1 - (alpha(t) / alpha(s)) ** 2)
    return alpha(s) * x + np.sqrt(max(sigma(s) ** 2 - c * c, 0)) * eps + c * noise


def unconditional(world: World, draw: Draw, steps: int, eta: float) -> Array:
    x_t = draw()
    for t, s in pairwise(skipping(steps)):
        x, eps, _ = world.look(x_t, t)
        x_t = ddim(x, eps, t, s, eta, draw() if eta else 0.0)
    return x_t


def ddrm(world: World, draw: Draw, steps: int, eta: float, eta_b: float, informed: bool = True) -> Array:
    """In coordinates V^T x_t / alpha_t, one direction after the other; DDNM+ if its start is not informed."""
    U, singular, Vt = np.linalg.svd(world.A)
    seen = U.T @ world.y
    times = skipping(steps)
    level = [world.sigma_y / s for s in singular] + [np.inf] * (world.n - len(singular))
    target = [u / s for u, s in zip(seen, singular, strict=False)] + [0.0] * (world.n - len(singular))
    high = sigma(times[0]) / alpha(times[0])
    z = draw() @ Vt.T  # white noise stays white in any basis
    for i in range(world.n):
        known = level[i] < high
        z[:, i] = target[i] + np.sqrt(high**2 - level[i] ** 2) * z[:, i] if known else high * z[:, i]
    x_t = alpha(times[0]) * z @ Vt if informed else draw()
    for t, s in pairwise(times):
        x, eps, _ = (part @ Vt.T if part.ndim == 2 else part for part in world.look(x_t, t))
        noise, low = draw() @ Vt.T, sigma(s) / alpha(s)
        kept, z = np.sqrt(1 - eta**2) * low, np.empty_like(x)
        for i in range(world.n):
            if level[i] == np.inf:
                z[:, i] = x[:, i] + kept * eps[:, i] + eta * low * noise[:, i]
            elif low < level[i]:
                z[:, i] = x[:, i] + kept * (target[i] - x[:, i]) / level[i] + eta * low * noise[:, i]
            else:
                width = np.sqrt(max(low**2 - (eta_b * level[i]) ** 2, 0))
                z[:, i] = (1 - eta_b) * x[:, i] + eta_b * target[i] + width * noise[:, i]
        x_t = alpha(s) * z @ Vt
    return x_t


def ddrm_jpeg(world: World, draw: Draw, steps: int, first: int, eta: float, eta_b: float) -> Array:
    """For a coding that is linear: A is a projection and y an image."""
    times = skipping(steps, first)
    x_t = alpha(times[0]) * world.y + sigma(times[0]) * draw()
    for t, s in pairwise(times):
        x, eps, _ = world.look(x_t, t)
        mixed = x + eta_b * (world.y - x @ world.A.T)
        x_t = alpha(s) * mixed + sigma(s) * (eta * draw() + np.sqrt(1 - eta**2) * eps)
    return x_t


def adam(lr: float, beta1: float, beta2: float) -> Callable[[Array], Array]:
    """A function of the gradient that gives the step."""
    first = second = 0.0
    count = 0

    def step(gradient: Array) -> Array:
        nonlocal first, second, count
        count += 1
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        return -lr * (first / (1 - beta1**count)) / (np.sqrt(second / (1 - beta2**count)) + 1e-8)

    return step


def plain(lr: float) -> Callable[[Array], Array]:
    return lambda gradient: -lr * gradient


def reddiff(
    world: World, draw: Draw, steps: int, weight: float, step: Callable[[Array], Array], sigma_x0: float = 0.0
) -> Array:
    mu = np.linalg.pinv(world.A) @ world.y
    for t in skipping(steps)[:-1]:
        x = mu + sigma_x0 * draw() if sigma_x0 else mu
        eps = draw()
        _, eps_hat, _ = world.look(alpha(t) * x + sigma(t) * eps, t)
        s = sigma(t) / alpha(t)
        mu = mu + step(world.pull(x) + weight * s * (eps_hat - eps) / world.n)
    return mu


def sds(world: World, draw: Draw, steps: int, step: Callable[[Array], Array]) -> Array:
    mu = draw()
    for t in skipping(steps)[:-1]:
        eps = draw()
        _, eps_hat, _ = world.look(alpha(t) * mu + sigma(t) * eps, t)
        mu = mu + step(sigma(t) / alpha(t) * (eps_hat - eps) / world.n)
    return mu


def plug_and_play(
    world: World,
    draw: Draw,
    steps: int,
    weight: float,
    step: Callable[[Array], Array],
    jacobian: bool = True,
    finish: int = 0,
) -> Array:
    mu = draw()
    for i, t in enumerate(skipping(steps)[:-1]):
        eps = draw()
        _, eps_hat, J = world.look(alpha(t) * mu + sigma(t) * eps, t)
        error = 2 * (eps_hat - eps) / world.n
        prior = alpha(t) * np.einsum("rij,ri->rj", J, error) if jacobian else error
        mu = mu + step(prior + weight * (1 - i / steps) * world.pull(mu))
    x_t = alpha(finish) * mu + sigma(finish) * draw() if finish else mu
    for t in range(finish, 0, -1):
        x, eps, _ = world.look(x_t, t)
        x_t = ddim(x, eps, t, t - 1, 1.0, draw())
    return x_t


def pseudo_inverse(world: World, draw: Draw) -> Array:
    return np.broadcast_to(np.linalg.pinv(world.A) @ world.y, draw().shape)
