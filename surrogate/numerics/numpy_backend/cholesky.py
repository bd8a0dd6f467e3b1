"""Small symmetric positive definite systems, many at once, in NumPy."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64


def solve_spd(
    matrix: Float64[np.ndarray, "R p p"], right: Float64[np.ndarray, "R p"]
) -> Float64[np.ndarray, "R p"]:
    """Solve each; NaN where one is not positive definite.

    Equals the reference kernel to rounding. LAPACK's `cholesky` would give up on
    all where one fails, and calls it once a system: here columns are a loop and the
    problems the last axis.
    """
    size = right.shape[1]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scale = 1 / np.sqrt(np.diagonal(matrix, axis1=1, axis2=2).T)
        rest = np.empty((size + 1, size, len(right)))
        np.multiply(matrix.transpose(1, 2, 0), scale[:, None] * scale, out=rest[:size])
        # The right-hand side is one more row, which the factor then solves on its way.
        np.multiply(right.T, scale, out=rest[size])
        inverse = np.empty((size, len(right)))
        for j in range(size):
            pivot = rest[j, j]
            inverse[j] = 1 / np.sqrt(np.where(pivot > 0, pivot, np.nan))
            rest[j:, j] *= inverse[j]
            below = rest[j + 1 :, j]
            if j + 1 < size:
                rest[j + 1 :, j + 1 :] -= below[:, None] * below[None, :-1]
        found = rest[size].copy()
        for j in range(size - 1, -1, -1):
            found[j] *= inverse[j]
            found[:j] -= rest[j, :j] * found[j]
        return (found * scale).T
