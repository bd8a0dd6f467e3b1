"""The noise of single runs in a small table: what residuals, repeats and readers tell.

A run's variance is floor^2 + (growth excess)^2, fitted to the residuals, and the square
of its own standard error where one was told. Runs of one setting differ by noise alone,
whatever is fitted: the floor is no lower than they show. Runs that share a trunk share
a part of their noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Bool, Float64, Int64
from surrogate.data.coordinates import Rows
from surrogate.fitting.objective import NORMAL_MAD, Noise, Objective

# Runs further off, in robust standard deviations, say nothing of the others' noise.
_OUTLIER = 4.0
# Of the variance function, each weighted by the last.
_ROUNDS = 5
# Degrees of freedom with which the floor is held at the mean square.
_FREEDOM = 10.0
# Degrees of freedom with which noise of repeats is held at nothing: one pair tells
# little, and the larger of two numbers is too large on average.
_OF_REPEATS = 2.0
# Pairs with which the share of noise that a trunk gives is held at a half.
_PAIRS, _HALF = 10.0, 0.5
_LEAST = 1e-12
_SAME = 1e-9


class RunNoise(NamedTuple):
    """Noise of the runs of a table about a fit.

    Attributes:
        sound: runs that are no outliers.
        floor: variance at the optimum.
        growth: its increase with the square of the fitted excess.
        error: standard error of each run that was told, 0 where none was.
    """

    sound: Bool[np.ndarray, " n"]
    floor: float
    growth: float
    error: Float64[np.ndarray, " n"]

    def variance(self, excess: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """Of every run."""
        grown = np.maximum(self.floor + self.growth * excess**2, _LEAST)
        return grown + self.error**2


def measure(
    rows: Rows,
    residual: Float64[np.ndarray, " n"],
    excess: Float64[np.ndarray, " n"],
    leverage: Float64[np.ndarray, " n"],
    misfit: float,
) -> RunNoise:
    """Floor and growth by least squares of squares, as far as few runs tell them.

    Args:
        rows: the runs.
        residual: what a fit leaves of their ln loss, less what cells share.
        excess: fitted ln loss over the minimum of the run's cell.
        leverage: of each fitted value in its own target.
        misfit: share of the excess by which the family may miss (`Family.misfit`).
    """
    from scipy.optimize import nnls

    error = np.zeros(len(residual)) if rows.error is None else rows.error
    spread = Objective(growth=misfit).spread(excess)
    size = np.abs(residual) / np.sqrt(spread**2 + error**2)
    sound = size <= _OUTLIER * max(1.0, NORMAL_MAD * float(np.median(size)))
    free = 1 - leverage
    # What was told of a run explains so much of its square already.
    square = np.maximum(residual**2 - free * error**2, 0.0)
    variance, floor, growth = spread**2 + error**2, 0.0, 0.0
    for _ in range(_ROUNDS):
        left = free / variance
        columns = np.stack([left, left * excess**2], axis=1)[sound]
        norm = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
        found, _ = nnls(columns / norm, (square / variance)[sound])
        floor, growth = found / norm
        variance = np.maximum(floor + growth * excess**2, _LEAST) + error**2
    # Few runs tell little of two numbers: towards their mean near the optimum.
    near = (free / spread**2)[sound]
    mean = float(square[sound] @ spread[sound] ** -2 / near.sum())
    freedom = max(float(sound.sum() - leverage[sound].sum()), 0.0)
    share = _FREEDOM / (_FREEDOM + freedom)
    floor = (1 - share) * floor + share * mean
    floor = max(floor, of_repeats(rows, excess, misfit))
    return RunNoise(sound, float(floor), float(growth), error)


def of_repeats(rows: Rows, excess: Float64[np.ndarray, " n"], misfit: float) -> float:
    """The least variance at the optimum by runs of one setting; 0 where none repeat.

    Each counts as its spread does: runs far from the optimum scatter more. What was
    told of the runs' errors is no part of it.
    """
    spread = Objective(growth=misfit).spread(excess)
    relative = spread**2 / Objective(growth=misfit).floor ** 2
    told = np.zeros(len(excess)) if rows.error is None else rows.error
    places = np.column_stack([np.round(rows.z / _SAME), rows.cell])
    _, at, counts = np.unique(places, axis=0, return_inverse=True, return_counts=True)
    at = np.ravel(at)
    freedom = float((counts - 1).sum())
    if not freedom:
        return 0.0
    means = np.bincount(at, weights=rows.target) / counts
    square = (rows.target - means[at]) ** 2 / relative
    own = (1 - 1 / counts[at]) * told**2 / relative
    variance = max(float((square - own).sum()), 0.0) / freedom
    return variance * freedom / (freedom + _OF_REPEATS)


def of_plateau(
    noise: Noise,
    rows: Rows,
    excess: Float64[np.ndarray, " n"],
    misfit: float,
    freedom: int,
) -> Noise:
    """`noise` of few cells, its floor no lower than repeated runs show.

    It is also held at what released sweeps show, as two more degrees of freedom: a fit
    that spends all its runs leaves no residual.
    """
    held = _OF_REPEATS * Objective().floor ** 2
    variance = (freedom * noise.floor**2 + held) / (freedom + _OF_REPEATS)
    variance = max(variance, of_repeats(rows, excess, misfit))
    return noise._replace(floor=float(np.sqrt(variance)))


class Shared(NamedTuple):
    """What runs of one trunk share of their noise.

    Attributes:
        share: of each run's variance, 0 where it has no trunk.
        member: whether a run is of a trunk.
        worth: what each run counts for as an independent one.
    """

    share: Float64[np.ndarray, " n"]
    member: Float64[np.ndarray, "n clusters"]
    worth: Float64[np.ndarray, " n"]


def shared(
    cluster: Int64[np.ndarray, " n"] | None,
    residual: Float64[np.ndarray, " n"],
    variance: Float64[np.ndarray, " n"],
    leverage: Float64[np.ndarray, " n"],
) -> Shared:
    """By products of residuals of the pairs in each cluster; a half where few are."""
    if cluster is None:
        ones = np.ones(len(residual))
        return Shared(0 * ones, np.zeros((len(ones), 0)), ones)
    member = (cluster[:, None] == np.arange(cluster.max() + 1)).astype(np.float64)
    each = residual / np.sqrt(variance * (1 - leverage))
    sizes = member.sum(axis=0)
    pairs = float((sizes * (sizes - 1)).sum()) / 2
    products = float(((member.T @ each) ** 2 - member.T @ each**2).sum()) / 2
    share = (products + _PAIRS * _HALF) / (pairs + _PAIRS)
    share = min(max(share, 0.0), 1.0)
    others = member @ np.maximum(sizes - 1, 0.0)
    return Shared(share * member.any(axis=1), member, 1 / (1 + others * share))
