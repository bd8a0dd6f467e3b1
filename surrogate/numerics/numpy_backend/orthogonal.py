"""Linear families whose columns nearly depend on each other: by orthogonal factors.

The normal equations lose twice as many digits as the columns' condition number has, QR
of the columns once. Longley's regression keeps 8 digits by the first and 13 by the
second; Filippelli's none and 8. Which is taken depends on the columns alone, so that it
is the same for every problem of a table, however many are solved.

Source: Björck 1996, Numerical Methods for Least Squares Problems, 2.4 and 2.9.
"""

from __future__ import annotations

import numpy as np

from surrogate.base.namespaces import jax, jnp
from surrogate.base.shapes import Float64
from surrogate.families import Linear, Quadratic
from surrogate.numerics.newton import Minima
from surrogate.numerics.newton_step import CONVERGED, NOT_FINITE
from surrogate.numerics.numpy_backend import least_squares

# Least eigenvalue, of the normal equations scaled to a diagonal of ones, that is solved
# by them: it costs five of sixteen digits.
_LEAST = 1e-5
# Of a direction: where the prior holds more, the data tell nothing, and no digit of it.
_HELD = 0.5
# Weight of a run before its noise is known, beside which the prior stands.
_WEIGHT = 1 / 0.01**2
# Rows that tell it, evenly spread where there are more.
_ROWS = 8192
# Corrections by residuals in extended precision.
_CORRECTIONS = 2


def is_needed(family: Linear, z: Float64[np.ndarray, "n k"]) -> bool:
    """Whether the normal equations of these rows would lose more than five digits.

    They lose as many as the inverse of their least eigenvalue has, in a direction that
    the data tell and not the prior alone.
    """
    few = z[:: -(-len(z) // _ROWS)]
    columns, precision = columns_of(family, few), family.prior.precision
    gram = len(z) / len(few) * _WEIGHT * columns.T @ columns + np.diag(precision)
    scale = 1 / np.sqrt(np.diagonal(gram))
    size, along = np.linalg.eigh(gram * scale[:, None] * scale)
    is_told = (precision * scale**2) @ along**2 <= _HELD * np.abs(size)
    return bool(np.any((size < _LEAST) & is_told))


def solve(
    family: Linear,
    z: Float64[np.ndarray, "n k"],
    target: Float64[np.ndarray, " n"],
    weights: Float64[np.ndarray, "problems n"],
) -> Minima:
    """The least squares of each problem; then convex, where it is not yet."""
    columns, prior = columns_of(family, z), family.prior
    root = np.sqrt(prior.precision)
    held = root > 0
    count, size = len(weights), family.size
    theta, cost = np.full((count, size), np.nan), np.full(count, np.inf)
    for problem, own in enumerate(weights):
        used = own > 0
        heavy = np.sqrt(own[used])
        design = np.vstack([heavy[:, None] * columns[used], np.diag(root)[held]])
        right = np.concatenate([heavy * target[used], (root * prior.centre)[held]])
        if len(right) >= size:
            theta[problem], cost[problem] = _least(family, design, right)
    is_sound = np.isfinite(theta).all(axis=1)
    status = np.where(is_sound, CONVERGED, NOT_FINITE)
    return Minima(theta, cost, np.zeros(count), status, np.ones(count, np.int64))


def columns_of(
    family: Linear, z: Float64[np.ndarray, "n k"]
) -> Float64[np.ndarray, "n p"]:
    """The family's features in NumPy."""
    if isinstance(family, Quadratic):
        return least_squares.features(family, z)
    with jax.enable_x64(True):
        return np.asarray(family.features(jnp.asarray(z)))


def _least(
    family: Linear,
    design: Float64[np.ndarray, "m p"],
    right: Float64[np.ndarray, " m"],
) -> tuple[Float64[np.ndarray, " p"], float]:
    """Theta and the squares that are left, of one problem."""
    q, r = np.linalg.qr(design)
    wide, exact = design.astype(np.longdouble), right.astype(np.longdouble)
    theta = np.zeros(design.shape[1], np.longdouble)
    rest = np.zeros(len(right), np.longdouble)
    # Residual and theta are corrected together, as one system: of large residuals
    # theta alone would keep the error of the normal equations.
    with np.errstate(all="ignore"):
        for _ in range(1 + _CORRECTIONS):
            off = (exact - rest - wide @ theta).astype(np.float64)
            pull = -(wide.T @ rest).astype(np.float64)
            try:
                inner = q.T @ off - np.linalg.solve(r.T, pull)
                step = np.linalg.solve(r, inner)
            except np.linalg.LinAlgError:
                return np.full(design.shape[1], np.nan), float("inf")
            theta, rest = theta + step, rest + (off - q @ inner)
    found = theta.astype(np.float64)
    if isinstance(family, Quadratic):
        convex = found[None]
        if not least_squares.is_convex(family, convex)[0]:
            found = least_squares.project(family, convex, (r.T @ r)[None])[0]
    rest = exact - wide @ found
    return found, float(rest @ rest)
