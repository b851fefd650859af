"""The oracles of samplers that know of y, see ``oracles.py``."""

import math
from itertools import pairwise

import numpy as np
from oracles import Array, Draw, World, alpha, ddim, sigma, skipping


def jacobian(world: World, x_t: Array, t: int) -> tuple[Array, Array, Array]:
    """x_hat and eps_hat, shape ``(R, n)``, and d x_hat / d x_t, shape ``(R, n, n)``."""
    x, eps, J = world.look(x_t, t)
    return x, eps, (np.eye(world.n) - sigma(t) * J) / alpha(t)


def eps_of(x: Array, x_t: Array, t: int) -> Array:
    return (x_t - alpha(t) * x) / sigma(t)


def apply(matrices: Array, vectors: Array) -> Array:
    return np.einsum("rij,rj->ri", matrices, vectors)


def isotropic(world: World, x_t: Array, t: int) -> Array:
    """E[x | x_t, y] of PiGDM."""
    x, _, _ = jacobian(world, x_t, t)
    return x + sigma(t) ** 2 / alpha(t) * pigdm_score(world, x_t, t)


def pigdm_score(world: World, x_t: Array, t: int) -> Array:
    x, _, J = jacobian(world, x_t, t)
    A, m = world.A, len(world.y)
    G = np.linalg.pinv(sigma(t) ** 2 * A @ A.T + world.sigma_y**2 * np.eye(m))
    return apply(J.transpose(0, 2, 1), (world.y - x @ A.T) @ G @ A)


def pigdm(world: World, draw: Draw, steps: int) -> Array:
    """As published: the step of DDPM, and guidance of its own weight."""
    x_t = draw()
    for t, s in pairwise(skipping(steps)):
        x, eps, _ = world.look(x_t, t)
        push = alpha(s) * alpha(t) * sigma(t) ** 2 * pigdm_score(world, x_t, t)
        x_t = ddim(x, eps, t, s, 1.0, draw()) + push
    return x_t


def matched(world: World, x_t: Array, t: int) -> tuple[Array, Array, Array]:
    """x_hat, E[x | x_t, y] of MMPS, and the exponent of its p(y | x_t)."""
    x, _, J = jacobian(world, x_t, t)
    A, C = world.A, sigma(t) ** 2 / alpha(t) * J
    G = A @ C @ A.T + world.sigma_y**2 * np.eye(len(A))
    r = world.y - x @ A.T
    solved = np.linalg.solve(G, r[..., None])[..., 0]
    return x, x + apply(C, solved @ A), -0.5 * (r * solved).sum(1)


def exact(world: World, x_t: Array, t: int) -> Array:
    """E[x | x_t, y]: x given both, of each component, as if (x_t, y) were one measurement."""
    a, b, I = alpha(t), sigma(t), np.eye(world.n)
    H = np.concatenate([a * I, world.A])
    noise = np.diag([b * b] * world.n + [world.sigma_y**2] * len(world.y))
    z = np.concatenate([x_t, np.broadcast_to(world.y, (len(x_t), len(world.y)))], 1)
    logs, means = [], []
    for weight, m, S in zip(world.weights, world.means, world.covariances, strict=True):
        total = H @ S @ H.T + noise
        solved = np.linalg.solve(total, (z - m @ H.T).T).T
        logs.append(np.log(weight) - 0.5 * (((z - m @ H.T) * solved).sum(1) + np.linalg.slogdet(total)[1]))
        means.append(m + solved @ H @ S)
    r = np.exp(np.array(logs) - np.max(logs, axis=0))
    return np.einsum("kr,krn->rn", r / r.sum(0), np.array(means))


def guided(world: World, draw: Draw, estimate, steps: int, eta: float) -> Array:
    x_t = draw()
    for t, s in pairwise(skipping(steps)):
        x = estimate(world, x_t, t)
        x_t = ddim(x, eps_of(x, x_t, t), t, s, eta, draw() if eta else 0.0)
    return x_t


def replaced(world: World, x_s: Array, s: int, noise: Array) -> Array:
    U, singular, Vt = np.linalg.svd(world.A)
    z, noise, seen = x_s @ Vt.T, noise @ Vt.T, U.T @ world.y
    for i, value in enumerate(singular):
        left = sigma(s) ** 2 - (alpha(s) * world.sigma_y / value) ** 2
        if left >= 0:
            z[:, i] = alpha(s) * seen[i] / value + left**0.5 * noise[:, i]
    return z @ Vt


def dps(world: World, draw: Draw, steps: int, zeta: float, eta: float = 1.0, project: bool = False) -> Array:
    """With ``project``, MCG."""
    x_t = draw()
    for t, s in pairwise(skipping(steps)):
        x, eps, J = jacobian(world, x_t, t)
        r = world.y - x @ world.A.T
        up = apply(J.transpose(0, 2, 1), r @ world.A) / np.linalg.norm(r, axis=1, keepdims=True)
        x_t = ddim(x, eps, t, s, eta, draw() if eta else 0.0) + zeta * up
        x_t = replaced(world, x_t, s, draw()) if project else x_t
    return x_t


def travelled(times: list[int], length: int, repeats: int) -> list[int]:
    way = [times[0]]
    for first in range(0, len(times) - 1, length):
        last = min(first + length, len(times) - 1)
        for lap in range(repeats):
            way += times[first + (lap == 0) : last + 1]
    return way


def back(x_t: Array, t: int, s: int, noise: Array) -> Array:
    a = alpha(s) / alpha(t)
    return a * x_t + math.sqrt(sigma(s) ** 2 - (a * sigma(t)) ** 2) * noise


def repaint(world: World, draw: Draw, steps: int, length: int, repeats: int) -> Array:
    x_t = draw()
    for t, s in pairwise(travelled(skipping(steps), length, repeats)):
        if s > t:
            x_t = back(x_t, t, s, draw())
            continue
        x, eps, _ = world.look(x_t, t)
        x_t = replaced(world, ddim(x, eps, t, s, 1.0, draw()), s, draw())
    return x_t


def ddnm(world: World, draw: Draw, steps: int, eta: float, length: int = 1, repeats: int = 1) -> Array:
    x_t, inverse = draw(), np.linalg.pinv(world.A)
    for t, s in pairwise(travelled(skipping(steps), length, repeats)):
        if s > t:
            x_t = back(x_t, t, s, draw())
            continue
        x, eps, _ = world.look(x_t, t)
        x = x + (world.y - x @ world.A.T) @ inverse.T
        x_t = alpha(s) * x + sigma(s) * (eta * draw() + math.sqrt(1 - eta**2) * eps)
    return x_t


def proximal(world: World, z: Array, y: Array, rho: float) -> Array:
    """Argmin |y - A x|^2 + rho |x - z|^2, for each row."""
    A = world.A
    G = np.linalg.pinv(A @ A.T + rho * np.eye(len(A)))
    return z + (y - z @ A.T) @ G.T @ A


def diffpir(world: World, draw: Draw, steps: int, weight: float, zeta: float) -> Array:
    x_t = draw()
    for t, s in pairwise(skipping(steps)):
        rho = weight * (world.sigma_y * alpha(t) / sigma(t)) ** 2
        x = proximal(world, world.look(x_t, t)[0], world.y, rho)
        noise = math.sqrt(1 - zeta) * eps_of(x, x_t, t) + math.sqrt(zeta) * draw()
        x_t = alpha(s) * x + sigma(s) * noise
    return x_t


def levels(count: int, high: float, low: float = sigma(1) / alpha(1)) -> list[int]:
    """Times nearest to noise levels whose seventh roots are even, nearest as seventh roots, too."""
    roots = np.array([(sigma(t) / alpha(t)) ** (1 / 7) for t in range(1, 1001)])
    wanted = np.linspace(high ** (1 / 7), low ** (1 / 7), count)
    return [1 + int(np.abs(roots - one).argmin()) for one in wanted]


def daps(
    world: World,
    draw: Draw,
    steps: int,
    ode_steps: int,
    low: float = 0.1,
    langevin: tuple[int, float, float] | None = None,
) -> Array:
    """Exact draws, or Langevin steps: how many, of which size, and the deviation of the likelihood."""
    times = [*levels(steps, 100.0, low), 0]
    x_t, (A, y) = sigma(times[0]) * draw(), (world.A, world.y)
    for i, (t, s) in enumerate(pairwise(times)):
        r = sigma(t) / alpha(t)
        for u, v in pairwise([*dict.fromkeys(levels(ode_steps, r)), 0]):
            x, eps, _ = world.look(x_t, u)
            x_t = alpha(v) * x + sigma(v) * eps
        if langevin is None:
            z, noise = x_t + r * draw(), draw()[:, : len(y)]
            x = proximal(world, z, y + world.sigma_y * noise, (world.sigma_y / r) ** 2)
        else:
            count, size, tau = langevin
            size, x = size * (1 - 0.99 * i / steps), x_t
            for _ in range(count):
                up = (x_t - x) / r**2 + (y - x @ A.T) @ A / tau**2
                x = x + size * up + math.sqrt(2 * size) * draw()
        x_t = alpha(s) * x + sigma(s) * draw()
    return x


def uniform(noise: Array) -> Array:
    """A uniform number a row, from white noise."""
    return np.array([0.5 * (1 + math.erf(z / math.sqrt(2))) for z in noise[:, 0]])


def tds(world: World, draw: Draw, steps: int, particles: int, threshold: float) -> Array:
    """With one list of particles; R systems side by side."""
    times = skipping(steps)
    x_t = np.array([draw() for _ in range(particles)])
    R, log_weight, old = x_t.shape[1], 0.0, None
    for t, s in pairwise(times):
        x, led, twist = (
            np.array(parts) for parts in zip(*(matched(world, one, t) for one in x_t), strict=True)
        )
        log_weight = log_weight + twist
        weight = np.exp(log_weight - log_weight.max(0))
        weight /= weight.sum(0)
        u = uniform(draw())
        for j in range(R):
            if 1 / (weight[:, j] ** 2).sum() < threshold * particles:
                ends = weight[:, j].cumsum()
                pick = [min((ends < (u[j] + i) / particles).sum(), particles - 1) for i in range(particles)]
                for part in (x_t, x, led, twist, *(old[:2] if old else ())):
                    part[:, j] = part[pick, j]
                log_weight[:, j] = 0.0
        if s == 0:
            break
        h = math.log(alpha(s) / sigma(s)) - math.log(alpha(t) / sigma(t))
        ahead, means = h / old[2] / 2 if old else 0.0, []
        for i, now in enumerate((x, led)):
            mixed = now + ahead * (now - old[i]) if old else now
            means.append(ddim(mixed, eps_of(mixed, x_t, t), t, s, 1.0, 0.0))
        width = sigma(s) / sigma(t) * math.sqrt(1 - (alpha(t) / alpha(s)) ** 2)
        x_t = np.array([mean + width * draw() for mean in means[1]])
        plain, twisted = (((x_t - mean) ** 2).sum(2) / (2 * width**2) for mean in means)
        log_weight, old = log_weight - twist - plain + twisted, (x, led, h)
    weight = np.exp(log_weight - log_weight.max(0))
    ends, u = (weight / weight.sum(0)).cumsum(0), uniform(draw())
    return np.array([led[min((ends[:, j] < u[j]).sum(), particles - 1), j] for j in range(R)])
