"""Leaving each cell out, and resampling cells: the refits and draws of a fit.

Cells are resampled, not rows: runs of one cell share what that cell does to its loss.

Draws say what no standard error can: the probability that a setting is inside the
plateau, and how large a regret may be, which is no smooth function at the optimum. From
12 cells on a draw is a refit under resampled cells. With fewer, resampling leaves too
few distinct ones: a draw is then one of the leaves. Either way its surface is moved
(`intervals.moves`), so that the optima of draws spread as the intervals say.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.data.coordinates import Rows
from surrogate.families import Family
from surrogate.fitting import clusters, intervals, irls, ranges
from surrogate.fitting.shards import Shards
from surrogate.numerics import least_squares
from surrogate_kernels.backends import Backend

# A draw with fewer distinct cells than this holds no more than the prior of scale.
MIN_DISTINCT = 3
# Of fewer degrees of freedom intervals would mean nothing.
MIN_FREEDOM = 2
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
    if cells >= intervals.MIN_CELLS:
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
    if cells < intervals.MIN_CELLS_PAIRS:
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
    return (
        1 if cells < intervals.MIN_CELLS_PAIRS or family.terms is None else 1 + RIVALS
    )
