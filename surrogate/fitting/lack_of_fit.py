"""Whether a fitted form misses the runs by more than their noise.

Two things tell. Runs of one setting differ by noise alone: what their means are off the
fit beyond that is the form's. And noise has no memory: where neighbours along a line of
runs (one cell, one value of the other setting) are off the fit to the same side more
than chance has it, the form bends otherwise than the runs (von Neumann's ratio, 1941).

What a form misses is shared by repeats and by neighbours, so runs count for fewer than
they are, and the variance of what they tell is so many times larger.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.base.units import format_percent
from surrogate.data.coordinates import Rows

# One-sided, for each of the two: a table is tested twice.
_LEVEL = 0.005
_NORMAL = NormalDist().inv_cdf(1 - _LEVEL)
# A line has so many settings, and the lines together so many runs.
_LEAST_LINE, _LEAST_RUNS = 6, 10
# Repeats with fewer degrees of freedom tell no noise.
_LEAST_FREEDOM = 4
_DIGITS = 9
# What is said to be missed is at least this, a share of the loss: less changes nothing.
_LEAST_SAID = 0.0005


class LackOfFit(NamedTuple):
    """How far a form is off its runs beyond their noise.

    Attributes:
        inflation: of variances, at least 1.
        said: a sentence, None where nothing is missed.
    """

    inflation: float
    said: str | None


def measure(
    rows: Rows,
    residual: Float64[np.ndarray, " n"],
    spread: Float64[np.ndarray, " n"],
    spent: int,
) -> LackOfFit:
    """By repeats where there are enough, and by neighbours.

    Args:
        rows: of the fit.
        residual: ln loss less the fitted one.
        spread: standard deviation to expect of each.
        spent: parameters of the fit, as far as runs tell them.
    """
    size = residual / spread
    size = size - _means(size, rows.cell)
    at = _settings(rows)
    means = np.bincount(at, size) / np.bincount(at)
    found = [_by_repeats(size, at, means, spent), _by_neighbours(rows, at, means)]
    factor, said = max(found, key=lambda pair: pair[0])
    off = float(np.sqrt(np.mean(residual**2)))
    if factor <= 1 or off < _LEAST_SAID:
        return LackOfFit(max(factor, 1.0), None)
    return LackOfFit(
        factor,
        f"The fitted form misses these runs by more than their noise ({said}; "
        f"{format_percent(off)} of the loss, root mean square): its "
        "best may be off theirs by more than noise explains, and intervals count that.",
    )


def _by_repeats(
    size: np.ndarray, at: np.ndarray, means: np.ndarray, spent: int
) -> tuple[float, str]:
    """F test of the means' spread about the fit against that of repeats."""
    counts = np.bincount(at)
    pure = int((counts - 1).sum())
    lack = len(counts) - spent
    if pure < _LEAST_FREEDOM or lack < 1:
        return 1.0, ""
    noise = float(((size - means[at]) ** 2).sum()) / pure
    missed = float((counts * means**2).sum()) / lack
    if missed <= max(noise, 1e-300) * _fisher(lack, pure):
        return 1.0, ""
    # Repeats share what is missed: so many count as one.
    shared = 1 - noise / missed
    most = float((counts**2).sum() / counts.sum())
    return 1 + (most - 1) * shared, "repeats of one setting agree better than that"


def _by_neighbours(rows: Rows, at: np.ndarray, means: np.ndarray) -> tuple[float, str]:
    """Von Neumann's ratio of what settings are off, over all lines of runs."""
    first = np.unique(at, return_index=True)[1]
    choices = rows.z.shape[1] - rows.cell_s.shape[1]
    best = 1.0, ""
    for axis in range(choices):
        steps, squares, runs = 0.0, 0.0, 0
        for line in _lines(rows, first, axis, choices):
            if len(line) < _LEAST_LINE:
                continue
            order = line[np.argsort(rows.z[first[line], axis], kind="stable")]
            off = means[order] - means[order].mean()
            # Without a trend, which is one of the fit's own parameters.
            steps += float((np.diff(off) ** 2).sum()) * len(off) / (len(off) - 1)
            squares += float((off**2).sum())
            runs += len(off)
        if runs < _LEAST_RUNS or squares <= 0:
            continue
        ratio = steps / squares
        error = 2 * np.sqrt((runs - 2) / (runs**2 - 1))
        if ratio >= 2 - error * _NORMAL:
            continue
        memory = 1 - ratio / 2
        factor = (1 + memory) / (1 - memory)
        if factor > best[0]:
            best = factor, "neighbours are off it to the same side"
    return best


def _lines(rows: Rows, first: np.ndarray, axis: int, choices: int) -> list[np.ndarray]:
    """Settings of one cell that share the other choice."""
    others = [k for k in range(choices) if k != axis]
    place = np.round(rows.z[first][:, others], _DIGITS)
    place = np.column_stack([rows.cell[first], place])
    _, line = np.unique(place, axis=0, return_inverse=True)
    line = np.ravel(line)
    return [np.flatnonzero(line == k) for k in range(int(line.max()) + 1)]


def _settings(rows: Rows) -> np.ndarray:
    """A number for each setting, of a cell."""
    place = np.column_stack([rows.cell, np.round(rows.z, _DIGITS)])
    return np.ravel(np.unique(place, axis=0, return_inverse=True)[1])


def _means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Of each value's group."""
    _, at = np.unique(group, return_inverse=True)
    at = np.ravel(at)
    return (np.bincount(at, values) / np.bincount(at))[at]


def _fisher(over: int, under: int) -> float:
    """What a ratio of two mean squares exceeds with a chance of `_LEVEL`."""
    from scipy.special import fdtri

    return float(fdtri(over, under, 1 - _LEVEL))
