"""Roots of one function at several levels at once, each in a bracket of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from surrogate.base.shapes import Float64

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
    """Secants of the last two points, kept within brackets that close in."""
    is_nearer = np.abs(fa) < np.abs(fb)
    last, f_last = np.where(is_nearer, b, a), np.where(is_nearer, fb, fa)
    x, f = np.where(is_nearer, a, b), np.where(is_nearer, fa, fb)
    for step in range(_STEPS):
        with np.errstate(all="ignore"):
            c = x - f * (x - last) / (f - f_last)
        inner, outer = np.minimum(a, b), np.maximum(a, b)
        is_wild = ~((c >= inner) & (c <= outer)) | (step % 8 == 7)
        c = np.where(f == 0, x, np.where(is_wild, 0.5 * (a + b), c))
        fc = function(c) - levels
        is_left = fc < 0
        a, b = np.where(is_left, c, a), np.where(is_left, b, c)
        is_done = (np.abs(c - x) <= _FINE) | (fc == 0)
        last, f_last, x, f = x, f, c, fc
        if is_done.all():
            break
    return x
