"""Small symmetric positive definite systems, many at once, in NumPy."""

from __future__ import annotations

import numpy as np

from surrogate.base.shapes import Float64


def solve_spd(
    matrix: Float64[np.ndarray, "R p p"], right: Float64[np.ndarray, "R p"]
) -> Float64[np.ndarray, "R p"]:
    """Solve each; NaN where one is not positive definite.

    Equals the reference kernel to rounding. LAPACK's `cholesky` would give up on
    all where one fails, and four in ten do on the way: here columns are a loop and the
    problems the last axis. Each column takes off what those before it make of it, once:
    half the work of taking every column off the rest.
    """
    if len(right) == 1:
        # Alone its sums would be taken in another order than beside others.
        return solve_spd(matrix.repeat(2, axis=0), right.repeat(2, axis=0))[:1]
    size = right.shape[1]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scale = 1 / np.sqrt(np.diagonal(matrix, axis1=1, axis2=2).T)
        rest = np.empty((size + 1, size, len(right)))
        np.multiply(matrix.transpose(1, 2, 0), scale[:, None] * scale, out=rest[:size])
        # The right-hand side is one more row, which the factor then solves on its way.
        np.multiply(right.T, scale, out=rest[size])
        inverse = np.empty((size, len(right)))
        for j in range(size):
            column = rest[j:, j]
            if j > 0:
                column -= np.einsum("ikr,kr->ir", rest[j:, :j], rest[j, :j])
            inverse[j] = 1 / np.sqrt(np.where(column[0] > 0, column[0], np.nan))
            column *= inverse[j]
        found = rest[size].copy()
        for j in range(size - 1, -1, -1):
            found[j] *= inverse[j]
            found[:j] -= rest[j, :j] * found[j]
        return (found * scale).T
