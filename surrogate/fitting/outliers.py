"""Single runs of which the others say that they cannot be: by deleted residuals.

A run is held against the least squares of all others. One lucky corner of a grid (5 %
too low, say) would pass for noise of all runs, hide the bowl, and be the best of its
cell. Runs that share a slope or a bend with no other have no deleted residual.
"""

from __future__ import annotations

import numpy as np

from surrogate.base.chances import student
from surrogate.base.shapes import Bool, Float64

# Two-sided, shared out among the runs: one table in a thousand has one by chance.
_LEVEL = 0.001
# Off by less than this [ln] a run turns nothing.
_LEAST = 0.01
# Of the runs at most this share is odd; degrees of freedom that must be left.
_MOST, _FREEDOM = 0.1, 4
# In more runs no single one turns an answer, and each that is odd costs a regression.
_MANY = 300
_RANK = 1e-8
_HELD = 1e-6


def outliers(
    design: Float64[np.ndarray, "n columns"],
    target: Float64[np.ndarray, " n"],
    root: Float64[np.ndarray, " n"],
) -> Bool[np.ndarray, " n"]:
    """Which rows are odd, the oddest taken out before the next is looked for.

    Args:
        design: columns of a regression, rows times their root weight.
        target: likewise.
        root: of the weights, 1 at the optimum: an error far out turns little.
    """
    odd = np.zeros(len(target), dtype=bool)
    if len(target) > _MANY:
        return odd
    for _ in range(int(_MOST * len(target))):
        kept = np.flatnonzero(~odd)
        off, size = _deleted(design[kept], target[kept])
        freedom = len(kept) - size - 1
        if freedom < _FREEDOM:
            break
        k = int(np.argmax(np.abs(off[:, 0])))
        needed = student(1 - 0.5 * _LEVEL / len(kept), freedom)
        if abs(off[k, 0]) < needed or abs(off[k, 1]) < _LEAST * root[kept[k]]:
            break
        odd[kept[k]] = True
    return odd


def _deleted(
    design: Float64[np.ndarray, "n columns"], target: Float64[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, "n 2"], int]:
    """Of each row its studentised and its own deleted residual; and the rank."""
    u, size, _ = np.linalg.svd(design, full_matrices=False)
    basis = u[:, size > _RANK * size[0]]
    leverage = np.einsum("nk,nk->n", basis, basis)
    residual = target - basis @ (basis.T @ target)
    left = np.maximum(1 - leverage, _HELD)
    rank = basis.shape[1]
    freedom = max(len(target) - rank - 1, 1)
    rest = np.maximum(residual @ residual - residual**2 / left, 0.0)
    spread = np.sqrt(np.maximum(rest / freedom * left, 1e-300))
    is_held = left <= _HELD
    return np.stack(
        [np.where(is_held, 0.0, residual / spread), residual / left], axis=1
    ), rank
