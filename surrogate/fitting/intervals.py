"""Intervals of an estimate from jackknife refits, and how far draws are moved.

An interval is the estimate plus and minus t times its standard error by the jackknife
over cells: each cell left out in turn, the answer itself computed from each refit, so
that no derivative of it is needed. This is the cluster-robust standard error CR3, the
one that errs to the safe side with few clusters (Bell and McCaffrey 2002; MacKinnon,
Nielsen and Webb 2023); t has cells - 3 degrees of freedom. Under 12 cells the leaves
are not refits but steps, one a cause of error (`propagation`), with degrees of freedom
of their own.
"""

from __future__ import annotations

import numpy as np

from surrogate.base.chances import student as quantile
from surrogate.base.defaults import MIN_CELLS_FOR_INTERVALS
from surrogate.base.shapes import Float64

MIN_CELLS = MIN_CELLS_FOR_INTERVALS
# From so many on draws are refits under resampled cells.
MIN_CELLS_PAIRS = 12
LEVEL = 0.95
# By this much draws are moved on at most.
MOST_STRETCH = 4.0


def student(cells: int, level: float = LEVEL, freedom: int | None = None) -> float:
    """Standard errors on each side of an estimate: t with cells - 3 degrees.

    Over runs with so many degrees of freedom as are given.
    """
    return quantile(0.5 * (1 + level), freedom or cells - 3)


def standard_error(
    point: np.ndarray | np.float64, leaves: Float64[np.ndarray, "cells ..."]
) -> np.ndarray | np.float64:
    """Of an estimate, by the jackknife: spread of its values without each cell."""
    cells = len(leaves)
    return np.sqrt((cells - 1) / cells * np.sum((leaves - point) ** 2, axis=0))


def interval(
    point: np.ndarray | np.float64,
    leaves: Float64[np.ndarray, "cells ..."],
    level: float = LEVEL,
    freedom: int | None = None,
) -> Float64[np.ndarray, "... 2"]:
    """Two-sided interval of a logarithm; NaN where there are too few or one is NaN.

    Args:
        point: the estimate.
        leaves: of the same, without each cell.
        level: nominal coverage.
        freedom: where leaves are steps and not refits without a cell.
    """
    cells = len(leaves)
    if cells < (MIN_CELLS if freedom is None else 1):
        return np.full((*np.shape(point), 2), np.nan)
    half = student(cells, level, freedom) * standard_error(point, leaves)
    return np.stack([point - half, point + half], axis=-1)


def moves(
    point: Float64[np.ndarray, " choices"],
    leaves: Float64[np.ndarray, "cells choices"],
    draws: Float64[np.ndarray, "draws choices"],
    freedom: int | None = None,
) -> Float64[np.ndarray, "draws choices"]:
    """How far the surface of each draw is to be moved, so that optima spread rightly.

    Refits under resampled cells keep the weights of the full fit and so spread too
    little: each is moved on along its own step from the estimate until their half-width
    is that of the interval. Draws of few cells are moved to Student's t about the
    estimate: the steps of the leaves, each times a normal number, all over a chi.

    Args:
        point: the optimum of the fit.
        leaves: without each cell.
        draws: of each draw.
        freedom: where leaves are steps and not refits without a cell.
    """
    cells = len(leaves)
    if len(draws) == 0 or cells < (MIN_CELLS if freedom is None else 1):
        return np.zeros_like(draws)
    if cells < MIN_CELLS_PAIRS or freedom is not None:
        aim = point + factors(len(draws), cells, freedom) @ (leaves - point)
        return aim - draws
    tail = 0.5 * (1 + LEVEL)
    asked = student(cells) * standard_error(point, leaves)
    low, high = known_quantile(draws, 1 - tail), known_quantile(draws, tail)
    got = 0.5 * (high - low)
    ratio = np.divide(asked, got, out=np.ones_like(got), where=got > 0)
    ratio = np.clip(np.nan_to_num(ratio, nan=1.0), 1.0, MOST_STRETCH)
    return (ratio - 1) * (draws - point)


def factors(
    draws: int, cells: int, freedom: int | None = None
) -> Float64[np.ndarray, "draws cells"]:
    """What multiplies the steps of the leaves in each draw of few cells.

    One generator for normals and one for chis, so that draw 7 is the same however many
    there are.
    """
    normal, chi = np.random.default_rng(cells).spawn(2)
    numbers = normal.normal(size=(draws, cells))
    freedom = freedom or cells - 3
    heavy = np.sqrt(freedom / chi.chisquare(freedom, size=(draws, 1)))
    return np.sqrt((cells - 1) / cells) * heavy * numbers


def upper(
    point: float, draws: Float64[np.ndarray, " draws"], level: float = LEVEL
) -> float:
    """Upper end of a one-sided interval [0, upper] of a regret; NaN without draws.

    Draws of a regret lie above it on average, since the best of a draw is the best for
    that draw: their quantile errs to the safe side.
    """
    if np.isnan(draws).all():
        return np.nan
    return max(point, float(known_quantile(draws, level)))


def known_quantile(
    values: Float64[np.ndarray, "draws ..."], share: float
) -> Float64[np.ndarray, ...]:
    """NumPy's nanquantile over the first axis, but infinite between infinite values.

    That also imports masked arrays, a twentieth of the time of an answer.

    Args:
        values: NaN where not known.
        share: of the known values that are below, between them on a line.
    """
    ordered = np.sort(values, axis=0)
    last = np.maximum((~np.isnan(values)).sum(axis=0) - 1, 0)
    place = share * last
    under = np.floor(place).astype(int)
    over = np.minimum(under + 1, last)
    ends = [np.take_along_axis(ordered, k[None], axis=0)[0] for k in (under, over)]
    is_one = (ends[0] == ends[1]) | (place == under)
    with np.errstate(invalid="ignore"):
        between = ends[0] + (place - under) * (ends[1] - ends[0])
    return np.where(is_one, ends[0], between)
