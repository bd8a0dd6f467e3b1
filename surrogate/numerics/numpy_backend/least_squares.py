"""Families that are linear in theta: many weighted fits over the same rows."""

from __future__ import annotations

import numpy as np

from surrogate.base.shapes import Bool, Float64
from surrogate.families import Quadratic
from surrogate.families.quadratic import EPS
from surrogate.numerics.newton import Minima
from surrogate.numerics.newton_step import CONVERGED, NOT_FINITE
from surrogate.numerics.numpy_backend.cholesky import solve_spd

# Rows whose products of columns a cache holds.
_ROWS = 2048
_ANGLES = 256
_NEWTON_STEPS = 30
_LEAST = np.array([0.5 * EPS, 0.0, 0.5 * EPS])


def features(
    family: Quadratic, z: Float64[np.ndarray, "n k"]
) -> Float64[np.ndarray, "n p"]:
    """`Quadratic.features`."""
    inner = family.shape.choices + family.shape.scales
    x, offsets = z[:, :inner], z[:, inner:]
    products = x[:, family.pairs[0]] * x[:, family.pairs[1]]
    steps = [x[:, i, None] * offsets for i in range(inner)]
    return np.concatenate([np.ones((len(z), 1)), x, products, *steps, offsets], axis=1)


def solve(
    family: Quadratic,
    z: Float64[np.ndarray, "n k"],
    target: Float64[np.ndarray, " n"],
    weights: Float64[np.ndarray, "problems n"],
) -> Minima:
    """The least squares of each problem; then convex, where it is not yet."""
    centre, precision = family.prior
    columns = features(family, z)
    both = np.concatenate([columns, target[:, None]], axis=1)
    first, second = np.tril_indices(both.shape[1])
    sums = np.zeros((len(weights), len(first)))
    for begin in range(0, len(z), _ROWS):
        some = both[begin : begin + _ROWS]
        products = some[:, first] * some[:, second]
        sums += weights[:, begin : begin + _ROWS] @ products
    square = np.empty((len(weights), both.shape[1], both.shape[1]))
    square[:, first, second] = square[:, second, first] = sums
    gram = square[:, :-1, :-1] + np.diag(precision)
    right = square[:, :-1, -1] + precision * centre
    best = solve_spd(gram, right)
    cost = (
        square[:, -1, -1] + precision @ centre**2 - np.einsum("rp,rp->r", right, best)
    )
    is_sound = np.isfinite(best).all(axis=1)
    wrong = np.flatnonzero(is_sound & ~is_convex(family, best))
    if wrong.size:
        convex = project(family, best[wrong], gram[wrong])
        off = convex - best[wrong]
        cost[wrong] += np.einsum("ri,rij,rj->r", off, gram[wrong], off, optimize=True)
        best[wrong] = convex
    count = len(weights)
    status = np.where(is_sound, CONVERGED, NOT_FINITE)
    return Minima(best, cost, np.zeros(count), status, np.ones(count, np.int64))


def is_convex(
    family: Quadratic, theta: Float64[np.ndarray, "R p"]
) -> Bool[np.ndarray, " R"]:
    """`Quadratic.is_convex`."""
    q = theta[:, family.bound]
    if family.shape.choices == 1:
        return q[:, 0] >= 0.5 * EPS
    off = q - _LEAST
    square = 4 * off[:, 0] * off[:, 2] >= off[:, 1] ** 2
    return (off[:, 0] >= 0) & (off[:, 2] >= 0) & square


def project(
    family: Quadratic,
    theta: Float64[np.ndarray, "R p"],
    gram: Float64[np.ndarray, "R p p"],
) -> Float64[np.ndarray, "R p"]:
    """`Quadratic.project`, of thetas that are not convex; the problems come first."""
    bound = family.bound
    columns = np.linalg.solve(gram, np.eye(family.size)[None, :, bound])
    metric = np.linalg.inv(columns[:, bound])
    target = theta[:, bound]
    if family.shape.choices == 1:
        moved = np.maximum(target, 0.5 * EPS)
    else:
        moved = _LEAST + _on_cone(target - _LEAST, metric)
    pull = np.einsum("rij,rj->ri", metric, moved - target)
    found = theta + np.einsum("rij,rj->ri", columns, pull)
    found[:, bound] = moved
    return found


def _on_cone(
    off: Float64[np.ndarray, "R three"], metric: Float64[np.ndarray, "R three three"]
) -> Float64[np.ndarray, "R three"]:
    """The nearest r (c^2 / 2, c s, s^2 / 2), c and s of an angle t, r >= 0.

    Of all r the best leaves off' M off - N^2 / D, N = a' M off and D = a' M a: the gain
    N^2 / D is highest on a grid of angles, then by Newton's method.
    """
    pull = np.einsum("rij,rj->ri", metric, off)
    grid = np.arange(_ANGLES) * (np.pi / _ANGLES)
    along = _ray(grid)[0]
    top = np.maximum(pull @ along, 0.0)
    under = np.einsum("ia,rij,ja->ra", along, metric, along, optimize=True)
    t = grid[np.argmax(top**2 / under, axis=1)]
    best = _gain(t, pull, metric)
    for _ in range(_NEWTON_STEPS):
        step = best[1] / np.maximum(np.abs(best[2]), 1e-30)
        step = np.clip(step, -np.pi / _ANGLES, np.pi / _ANGLES)
        tried = _gain(t + step, pull, metric)
        better = tried[0] >= best[0]
        t = np.where(better, t + step, t)
        best = tuple(np.where(better, a, b) for a, b in zip(tried, best, strict=True))
    along = _ray(t)[0].T
    top = np.maximum(np.einsum("ri,ri->r", along, pull), 0.0)
    under = np.einsum("ri,rij,rj->r", along, metric, along, optimize=True)
    return (top / under)[:, None] * along


def _ray(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(c^2 / 2, c s, s^2 / 2) and two derivatives in t, the three parts first."""
    c, s = np.cos(t), np.sin(t)
    twice = c**2 - s**2
    return (
        np.stack([0.5 * c**2, c * s, 0.5 * s**2]),
        np.stack([-c * s, twice, c * s]),
        np.stack([-twice, -4 * c * s, twice]),
    )


def _gain(
    t: np.ndarray, pull: np.ndarray, metric: np.ndarray
) -> tuple[np.ndarray, ...]:
    """N^2 / D at each angle, and its first two derivatives."""
    a, b, c = (part.T for part in _ray(t))
    n0 = np.maximum(np.einsum("ri,ri->r", a, pull), 0.0)
    n1, n2 = (np.einsum("ri,ri->r", part, pull) for part in (b, c))

    def form(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.einsum("ri,rij,rj->r", left, metric, right, optimize=True)

    d0, d1, d2 = form(a, a), 2 * form(a, b), 2 * (form(b, b) + form(a, c))
    first = (2 * n0 * n1 - n0**2 * d1 / d0) / d0
    second = (
        2 * n1**2
        + 2 * n0 * n2
        - (4 * n0 * n1 * d1 + n0**2 * d2) / d0
        + 2 * (n0 * d1 / d0) ** 2
    ) / d0
    return n0**2 / d0, first, second
