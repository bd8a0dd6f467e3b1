"""Roots of one function at several levels at once, each in a bracket of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

_STEPS = 80
# Of the argument, which is a logarithm.
_FINE = 1e-13


def first_roots(
    function: Callable[[Float64[np.ndarray, " m"]], Float64[np.ndarray, " m"]],
    start: float,
    end: float,
    levels: Float64[np.ndarray, " m"],
    points: int = 33,
) -> Float64[np.ndarray, " m"]:
    """The places nearest to `start` where a function rises to each level.

    NaN where it does not before `end`; `start` where the level is not above it there.
    """
    grid = np.linspace(start, end, points)
    values = function(grid)
    found = np.full(len(levels), np.nan)
    left, right, below, above = (np.full(len(levels), np.nan) for _ in range(4))
    for i, level in enumerate(levels):
        if not np.isfinite(level) or not np.isfinite(values[0]):
            continue
        if level <= values[0]:
            found[i] = start
            continue
        over = np.flatnonzero(values >= level)
        if len(over):
            k = int(over[0])
            left[i], right[i] = grid[k - 1], grid[k]
            below[i], above[i] = values[k - 1] - level, values[k] - level
    rows = np.flatnonzero(np.isfinite(left))
    if len(rows):
        found[rows] = _closed_in(
            function, left[rows], right[rows], below[rows], above[rows], levels[rows]
        )
    return found


def _closed_in(
    function: Callable[[np.ndarray], np.ndarray],
    a: np.ndarray,
    b: np.ndarray,
    fa: np.ndarray,
    fb: np.ndarray,
    levels: np.ndarray,
) -> np.ndarray:
    """The method of Illinois; b ends up at the root."""
    side = np.zeros(len(a))
    best = np.where(np.abs(fa) < np.abs(fb), a, b)
    least = np.minimum(np.abs(fa), np.abs(fb))
    last = np.full(len(a), np.inf)
    for step in range(_STEPS):
        with np.errstate(all="ignore"):
            c = (a * fb - b * fa) / (fb - fa)
        inner, outer = np.minimum(a, b), np.maximum(a, b)
        is_wild = ~((c > inner) & (c < outer)) | (step % 12 == 11)
        c = np.where(is_wild, 0.5 * (a + b), c)
        fc = function(c) - levels
        is_done = (np.abs(b - a) <= _FINE) | (np.abs(c - last) <= _FINE) | (fc == 0)
        is_better = np.abs(fc) < least
        best, least = (
            np.where(is_better, c, best),
            np.where(is_better, np.abs(fc), least),
        )
        is_left = fc < 0
        # The end that stays twice counts half.
        fb = np.where(is_left & (side == -1), 0.5 * fb, fb)
        fa = np.where(~is_left & (side == 1), 0.5 * fa, fa)
        a, fa = np.where(is_left, c, a), np.where(is_left, fc, fa)
        b, fb = np.where(is_left, b, c), np.where(is_left, fb, fc)
        side, last = np.where(is_left, -1, 1), c
        if is_done.all():
            break
    return best
