"""The library's side of every row: the only file that calls its solvers.

Each function takes a problem and how many to solve, waits for the answer and returns
it in NumPy. Replica r of a seed is the same however many are asked for.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from speed.models import Peak
from speed.problems import Linear, Peaks, Sweep
from surrogate.families import Family
from surrogate.fitting import irls, resampling
from surrogate.fitting.fit import work_of
from surrogate.numerics import argmin, batches, least_squares, plateau, row_weights

# Points of the plateau row solved in one call.
POINTS_BLOCK = 2000
# Of each replica: the full fit, and where other replicas end.
WARM_STARTS = 1 + resampling.RIVALS
# Further terms of the cold fit; steps in float32 of all starts, how many go on, their
# steps in float32 and float64: the cheapest seen whose error is not above that of
# gpfit's softmax-affine of six terms on the same columns, whatever the starts' seed.
COLD_TERMS = 6
COLD_STARTS = 32
COLD_FIRST, COLD_KEPT, COLD_LAST, COLD_POLISH = 8, 8, 40, 2
# What a linear fit is computed in; peers and floors are compared in the same.
LINEAR_DTYPE = "float64"
# As Gpufit's comparison: at most so many steps, and the share of the cost under which
# what is left to gain counts as nothing.
PEAK_STEPS = 10
PEAK_TOLERANCE = 1e-4
# Fits under way at a time.
PEAK_SLOTS = 512


class Replicas(NamedTuple):
    """Refits: theta, cost with the prior's, steps, a replica a line."""

    theta: np.ndarray
    cost: np.ndarray
    steps: np.ndarray


class FullFit(NamedTuple):
    """The fit that replicas start from, and the weights that they keep."""

    theta: np.ndarray
    weights: np.ndarray


class Answers(NamedTuple):
    """Optimum [m, 2], plateau edges and the other coordinate there [m, 2, 2], in u."""

    u: np.ndarray
    edges: np.ndarray
    other: np.ndarray
    converged: np.ndarray


def full_fit(sweep: Sweep, family: Family) -> FullFit:
    """As `surrogate.fit` does it: robust weights, many starts."""
    ones = np.ones((1, len(sweep.rows.target)))
    full = irls.estimate(family, sweep.rows, ones, sweep.features.box(), seed=0)
    return FullFit(full.solution.theta[0], full.weights[0])


# ---- draws ----------------------------------------------------------------------


def cell_counts(replicas: int, cells: int, seed: int = 0) -> np.ndarray:
    """How often each cell is in each replica of `draws` [replicas, cells]."""
    return resampling.resample(seed, replicas, cells)


def draws(
    sweep: Sweep,
    family: Family,
    full: FullFit,
    replicas: int,
    seed: int = 0,
    backend: str = "auto",
) -> Replicas:
    """Refits under resampled cells, as `surrogate.fit` draws them.

    Raises:
        DataError: the backend cannot run here.
    """
    has_rivals = resampling.starts(family, sweep.cells) > 1
    rivals = cell_counts(resampling.RIVALS, sweep.cells, seed)
    found = irls.refit(
        family,
        sweep.rows,
        full.weights,
        cell_counts(replicas, sweep.cells, seed),
        full.theta,
        rivals=rivals if has_rivals else None,
        backend=least_squares.pick_backend(
            backend,
            batches.local_devices()[0],
            family,
            work_of(len(sweep.rows.target), replicas),
        ),
    )
    return Replicas(found.theta, found.cost, found.iterations)


def linear(problem: Linear, replicas: int, seed: int = 0) -> np.ndarray:
    """Theta [replicas, p] of such refits of a problem that is no sweep."""
    family, z, target, weights, cell = problem
    counts = cell_counts(replicas, int(cell.max()) + 1, seed)
    plan = row_weights.per_cell(weights, cell, counts)
    return least_squares.solve(family, z, target, plan).theta


# ---- one fit --------------------------------------------------------------------


def cold(sweep: Sweep, seed: int = 0) -> np.ndarray:
    """The best theta of cold starts on equally weighted rows."""
    family, rows = sweep.posynomial(COLD_TERMS), sweep.rows
    theta = family.starts(np.random.default_rng(seed), COLD_STARTS)
    alike = np.full((1, len(rows.target)), 1 / 0.01**2)
    near, _ = irls.descend(family, rows, alike, theta[None], (COLD_FIRST, 0))
    steps = COLD_LAST, COLD_POLISH
    found, _ = irls.descend(family, rows, alike, near[:, :COLD_KEPT], steps)
    return found[0, 0]


def fourth_term(sweep: Sweep, full: FullFit) -> np.ndarray:
    """Theta of four further terms, from a fit of three and a small fourth."""
    family, rows = sweep.posynomial(4), sweep.rows
    names, scales = sweep.posynomial(3).unpack(full.theta), sweep.shape.scales
    theta = family.pack(
        names._replace(
            log_c=np.append(names.log_c, -6.0),
            exponents=np.append(names.exponents, [[0.5, 0.5]], axis=0),
            of_scales=np.append(names.of_scales, np.zeros((1, scales)), axis=0),
        )
    )
    plan = row_weights.given(full.weights[None])
    return least_squares.solve(
        family, rows.z, rows.target, plan, theta[None], iterations=100
    ).theta[0]


# ---- Gpufit's problem -----------------------------------------------------------


def gaussian_peaks(problem: Peaks, fits: int) -> tuple[np.ndarray, np.ndarray]:
    """Theta [fits, 5] in float32, and the steps of each fit."""
    found = least_squares.minimise(
        Peak(),
        problem.xy.astype(np.float32),
        problem.data[:fits],
        problem.starts[:fits].astype(np.float32),
        iterations=PEAK_STEPS,
        tolerance=PEAK_TOLERANCE,
        slots=PEAK_SLOTS,
    )
    return found.theta, found.iterations


# ---- answers --------------------------------------------------------------------


def answers(
    family: Family, theta: np.ndarray, s: np.ndarray, box: np.ndarray, tol: float
) -> Answers:
    """Argmin and plateau extents at many scales s [m, g], m whole blocks."""
    with jax.enable_x64(True):
        blocks = jnp.asarray(s).reshape(-1, POINTS_BLOCK, s.shape[1])
        arrays = map(jnp.asarray, (theta, box, np.log1p(tol)))
        found = map(np.asarray, _answers()(family, blocks, *arrays))
        return Answers(*(a.reshape(len(s), *a.shape[2:]) for a in found))


@cache
def _answers() -> Any:
    @partial(jax.jit, static_argnums=0)
    def run(family: Any, blocks: Any, theta: Any, box: Any, log_tol: Any) -> Any:
        surface, (low, high) = family.log_loss, box

        def one(s: Any) -> Any:
            start = 0.5 * (low + high)
            place = argmin.Place(s, low, high)
            least = argmin.argmin(surface, theta, start, place)
            level = least.value + log_tol
            found = plateau.extents(surface, theta, least, place, level)
            return least.u, found.edges, found.other, least.converged

        return jax.lax.map(jax.vmap(one), blocks)

    return run
