"""Resampling plans, draws, and intervals from draws.

Cells are resampled, not rows: runs of one cell share what that cell does to its loss.
Percentile intervals of few cells are too narrow, so each side is stretched about the
point estimate by t(cells - 3) / normal, the ratio of the quantiles of Student's t and
of the normal.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64
from scipy.special import ndtri, stdtrit

from surrogate import estimate
from surrogate.engine import Interrupted, Progress
from surrogate.families import Family
from surrogate.features import Rows
from surrogate_kernels.dispatch import Backend

MIN_CELLS = 5
LEVEL = 0.95
# A draw with fewer distinct cells than this holds no more than the prior of scale.
MIN_DISTINCT = 3


class Draws(NamedTuple):
    """Bootstrap fits.

    Attributes:
        theta: one a replica.
        unsettled: replicas whose fit had not converged; kept.
        singular: replicas of under 3 distinct cells; kept, and held by the prior.
        is_whole: False where Ctrl-C came before the last replica.
        block: replicas a call of the solver.
        is_halved: less than at first, since the device had no memory for more.
    """

    theta: Float64[np.ndarray, "draws p"]
    unsettled: int
    singular: int
    is_whole: bool
    block: int
    is_halved: bool


def resample(
    seed: int, replicas: int, cells: int
) -> Float64[np.ndarray, "draws cells"]:
    """How often each cell is in each replica: cells drawn with replacement.

    The counter behind a replica is (seed, replica) alone, so replica 7 is the same
    however many are asked for, on every device.
    """
    with jax.enable_x64(True):
        counts = _resample(jax.random.key(seed), jnp.arange(replicas), cells)
        return np.asarray(counts)


@partial(jax.jit, static_argnames="cells")
def _resample(key: Array, replicas: Array, cells: int) -> Array:
    def one(replica: Array) -> Array:
        drawn = jax.random.randint(jax.random.fold_in(key, replica), (cells,), 0, cells)
        # Comparisons and not a scatter, which is slow on a GPU.
        hits = drawn[:, None] == jnp.arange(cells)[None, :]
        return hits.sum(axis=0).astype(jnp.float64)

    return jax.vmap(one)(replicas)


def draw(
    family: Family,
    rows: Rows,
    weights: Float64[np.ndarray, " n"],
    theta: Float64[np.ndarray, " p"],
    *,
    replicas: int,
    seed: int,
    backend: Backend = "xla",
    progress: Progress | None = None,
) -> Draws:
    """Refit under resampled cells, from the fit and with its weights.

    Args:
        family: what was fitted.
        rows: to these runs.
        weights: of the full fit, kept in every replica.
        theta: the full fit.
        replicas: how many draws.
        seed: of the resampling.
        backend: of the kernels.
        progress: told of finished replicas.
    """
    used = np.unique(rows.cell)
    counts = resample(seed, replicas, len(used))
    of_all = np.zeros((replicas, len(rows.cell_s)))
    of_all[:, used] = counts
    try:
        found = estimate.refit(
            family, rows, weights, of_all, theta, backend=backend, progress=progress
        )
    except Interrupted as stopped:
        found = stopped.finished
    counts = counts[: len(found.theta)]
    settled = estimate.is_settled(found, len(rows.target))
    return Draws(
        theta=found.theta,
        unsettled=int((~settled).sum()),
        singular=int(((counts > 0).sum(axis=1) < MIN_DISTINCT).sum()),
        is_whole=len(counts) == replicas,
        block=found.block,
        is_halved=found.is_halved,
    )


def stretch(cells: int, level: float = LEVEL) -> float:
    """Student's t quantile with cells - 3 degrees of freedom over the normal one."""
    tail = 0.5 * (1 + level)
    return float(stdtrit(cells - 3, tail) / ndtri(tail))


def interval(
    point: np.ndarray | np.float64,
    draws: Float64[np.ndarray, "draws ..."],
    cells: int,
    level: float = LEVEL,
) -> Float64[np.ndarray, "... 2"]:
    """Two-sided interval of a logarithm; NaN under 5 cells or without draws.

    Args:
        point: the estimate.
        draws: of the same; those that are NaN are left out.
        cells: how many the fit had.
        level: nominal coverage.
    """
    if cells < MIN_CELLS or len(draws) == 0:
        return np.full((*np.shape(point), 2), np.nan)
    tails = 0.5 * (1 - level), 0.5 * (1 + level)
    low, high = np.nanquantile(draws, tails, axis=0)
    wider = stretch(cells, level)
    ends = point + wider * (low - point), point + wider * (high - point)
    # An interval holds its estimate, also where all draws lie on one side of it.
    return np.stack([np.minimum(ends[0], point), np.maximum(ends[1], point)], axis=-1)


def upper(
    point: float,
    draws: Float64[np.ndarray, " draws"],
    cells: int,
    level: float = LEVEL,
) -> float:
    """Upper end of a one-sided interval [0, upper] of a regret; NaN as `interval`.

    A regret grows with the square of the distance from the optimum, so the factor that
    stretches distances enters squared.
    """
    if cells < MIN_CELLS or len(draws) == 0:
        return float("nan")
    wider = float(stdtrit(cells - 3, level) / ndtri(level)) ** 2
    top = float(np.nanquantile(draws, level))
    return max(point, point + wider * (top - point))
