"""Resampling plans, draws, and intervals.

Cells are resampled, not rows: runs of one cell share what that cell does to its loss.

An interval is the estimate plus and minus t times its standard error by the jackknife
over cells: each cell left out in turn, the answer itself computed from each refit, so
that no derivative of it is needed. This is the cluster-robust standard error CR3, the
one that errs to the safe side with few clusters (Bell and McCaffrey 2002; MacKinnon,
Nielsen and Webb 2023); t has cells - 3 degrees of freedom. Under 12 cells the leaves
are not refits but steps, one a cause of error (`propagation`), with degrees of freedom
of their own.

Draws say what no standard error can: the probability that a setting is inside the
plateau, and how large a regret may be, which is no smooth function at the optimum. From
12 cells on a draw is a refit under resampled cells. With fewer, resampling leaves too
few distinct ones: a draw is then one of the leaves. Either way its surface is moved
(`moves`), so that the optima of draws spread as the intervals say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float64

from surrogate.base.chances import student as quantile
from surrogate.base.defaults import MIN_CELLS_FOR_INTERVALS
from surrogate.base.late import Late
from surrogate.data.coordinates import Rows
from surrogate.families import Family
from surrogate_kernels.backends import Backend

if TYPE_CHECKING:
    from surrogate.fitting import clusters, irls, ranges
    from surrogate.fitting.shards import Shards
    from surrogate.numerics import least_squares
else:
    # Answers take intervals from here, and wait for no fit.
    least_squares, irls = (
        Late("surrogate.numerics.least_squares"),
        Late("surrogate.fitting.irls"),
    )
    ranges = Late("surrogate.fitting.ranges")
    clusters = Late("surrogate.fitting.clusters")
    Shards = object

MIN_CELLS = MIN_CELLS_FOR_INTERVALS
# From so many on draws are refits under resampled cells.
MIN_CELLS_PAIRS = 12
LEVEL = 0.95
# A draw with fewer distinct cells than this holds no more than the prior of scale.
MIN_DISTINCT = 3
# Of fewer degrees of freedom intervals would mean nothing.
MIN_FREEDOM = 2
# By this much draws are moved on at most.
MOST_STRETCH = 4.0
# A sum of terms has several minima: each draw also starts where so many others end.
RIVALS = 2


class Draws(NamedTuple):
    """Bootstrap fits.

    Attributes:
        theta: one a replica.
        unsettled: replicas whose fit had not converged; kept.
        singular: replicas of under 3 distinct cells; kept, and held by the prior.
        is_whole: False where Ctrl-C came before the last replica.
        block: replicas a call of the solver.
        is_halved: less than at first, since the device had no memory for more.
        backend: whose kernels refitted; None where leaves serve and nothing was.
    """

    theta: Float64[np.ndarray, "draws p"]
    unsettled: int
    singular: int
    is_whole: bool
    block: int
    is_halved: bool
    backend: Backend | None


def resample(
    seed: int, replicas: int, cells: int
) -> Float64[np.ndarray, "draws cells"]:
    """How often each cell is in each replica: cells drawn with replacement.

    The numbers of a replica depend on (seed, replica) alone, so replica 7 is the same
    however many are asked for, on every device.
    """
    found = np.zeros((replicas, cells))
    for replica, counts in enumerate(found):
        drawn = np.random.default_rng([seed, replica]).integers(0, cells, cells)
        counts += np.bincount(drawn, minlength=cells)
    return found


def cell_counts(
    rows: Rows, replicas: int, seed: int
) -> Float64[np.ndarray, "draws cells"]:
    """`resample` of the cells that have rows; the others are in no replica."""
    used = np.unique(rows.cell)
    counts = np.zeros((replicas, len(rows.cell_s)))
    counts[:, used] = resample(seed, replicas, len(used))
    return counts


def has_draws(rows: Rows, choices: int, bootstrap: int) -> bool:
    """Whether there are draws and leaves: asked for, and from enough cells or runs."""
    freedom = freedom_of_runs(rows, choices)
    return bootstrap > 0 and (freedom is None or freedom >= MIN_FREEDOM)


def freedom_of_runs(rows: Rows, choices: int) -> int | None:
    """Degrees of freedom that runs of under 5 cells leave; None from 5 cells on.

    Runs less the parameters that they are known to tell: a level for every cell, a
    slope and a curvature for every choice and their product, and from 3 cells on the
    slopes of the optimum over the scales.
    """
    cells = len(np.unique(rows.cell))
    if cells >= MIN_CELLS:
        return None
    moving = min(cells - 1, rows.z.shape[1] - choices) if cells >= 3 else 0
    size = cells + choices + choices * (choices + 1) // 2 + choices * moving
    return len(rows.target) - size


def leave_each_out(
    family: Family,
    rows: Rows,
    weights: Float64[np.ndarray, " n"],
    theta: Float64[np.ndarray, " p"],
    box: Float64[np.ndarray, "2 choices"],
    progress: least_squares.Progress | None = None,
    backend: Backend = "numpy",
) -> tuple[Float64[np.ndarray, "units p"], int]:
    """Refit without each cell, with weights of its own; and how many had not settled.

    Where runs of several cells share a trunk, without each trunk, too (`clusters`).

    Args:
        family: what was fitted.
        rows: to these runs.
        weights: of the full fit.
        theta: the full fit.
        box: lower and upper bounds of u within which a cell's minimum is sought.
        progress: told of finished refits.
        backend: of the arithmetic.
    """
    units = clusters.units(rows)
    found = irls.refit_without(
        family,
        rows,
        weights,
        units.kept.astype(np.float64),
        theta,
        box,
        progress=progress,
        backend=backend,
    )
    settled = irls.is_settled(found, len(rows.target))
    leaves = theta + units.reach[:, None] * (found.theta - theta)
    leaves = np.where(units.reach[:, None] == 1, found.theta, leaves)
    return leaves, int((~settled).sum())


def draw(
    asked: ranges.Asked,
    leaves: Float64[np.ndarray, "cells p"],
    *,
    progress: least_squares.Progress | None = None,
    shards: Shards | None = None,
) -> Draws:
    """Refit under resampled cells, with the fit's weights; of few cells, from leaves.

    Args:
        asked: which draws of which fit.
        leaves: it without each cell.
        progress: told of finished fits, `starts` a draw.
        shards: where ranges of draws are kept; None where nothing is.
    """
    replicas, cells = asked.replicas, len(np.unique(asked.rows.cell))
    if cells < MIN_CELLS_PAIRS:
        if progress is not None:
            progress.advance(replicas * starts(asked.family, cells))
        drawn = leaves[np.arange(replicas) % len(leaves)]
        return Draws(drawn, 0, 0, True, replicas, False, None)
    counts = cell_counts(asked.rows, replicas, asked.seed)
    found = _solved(asked, counts, progress, shards)
    counts = counts[: len(found.theta)]
    settled = irls.is_settled(found, len(asked.rows.target))
    return Draws(
        theta=found.theta,
        unsettled=int((~settled).sum()),
        singular=int(((counts > 0).sum(axis=1) < MIN_DISTINCT).sum()),
        is_whole=len(counts) == replicas,
        block=found.block,
        is_halved=found.is_halved,
        backend=found.backend,
    )


def _solved(
    asked: ranges.Asked,
    counts: Float64[np.ndarray, "draws cells"],
    progress: least_squares.Progress | None,
    shards: Shards | None,
) -> least_squares.Solution:
    """All draws; fewer after a signal."""
    family, rows = asked.family, asked.rows
    each = starts(family, len(np.unique(rows.cell)))
    rivals = cell_counts(rows, RIVALS, asked.seed) if each > 1 else None

    def refit(first: int, last: int) -> least_squares.Solution:
        return irls.refit(
            family,
            rows,
            asked.weights,
            counts[first:last],
            asked.theta,
            rivals=rivals,
            backend=asked.backend,
            progress=progress,
        )

    if shards is not None:
        return ranges.solve(shards, asked, each, refit, progress)
    try:
        return refit(0, asked.replicas)
    except least_squares.Interrupted as stopped:
        return stopped.finished


def starts(family: Family, cells: int) -> int:
    """How many fits a draw takes."""
    return 1 if cells < MIN_CELLS_PAIRS or family.terms is None else 1 + RIVALS


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
    low, high = np.nanquantile(draws, (1 - tail, tail), axis=0)
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
    return max(point, float(np.nanquantile(draws, level))) if len(draws) else np.nan
