"""Robust fits of one family to the same runs, many at once: whole table, folds, draws.

Random starts, of which the best go on, then rounds of fresh weights from the fitted
excess. The first weights come from a quadratic, which needs no start.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from surrogate.base.shapes import Array, Bool, Float64
from surrogate.data.coordinates import Rows
from surrogate.families import (
    Curved,
    Family,
    Linear,
    Quadratic,
    Shared,
    cell_offsets,
    forms,
)
from surrogate.fitting import shared_search
from surrogate.fitting.objective import Objective
from surrogate.numerics import argmin, batches, least_squares, row_weights
from surrogate.numerics.least_squares import Progress, Solution
from surrogate.numerics.minimum import Minimum, lowest
from surrogate_kernels.dispatch import Backend

# Cold starts a problem; after so many steps the best of them, so many, go on; and
# steps of those that are left. What is behind after 16 steps seldom wins (docs/log.md).
STARTS = 32
SEARCH = ((8, 24), (8, 12))
START_STEPS = 60
# From the ends of another problem's search: steps, after which so many go on.
NEAR_STEPS, NEAR_KEPT = 8, 4
# Steps of a round, of the last fit, of a draw.
ROUND_STEPS = 40
LAST_STEPS = 400
DRAW_STEPS = 100
# Rounds of fresh weights where a fit is near to begin with.
_NEAR_ROUNDS = 3
_UNSETTLED = 0.05


class Surface(NamedTuple):
    """A fit evaluated on its rows, one a problem.

    Attributes:
        fitted: ln loss of the rows, relative to the level.
        excess: fitted ln loss over the fitted minimum of the row's cell.
        cell_u: where each cell's minimum lies.
        cell_minimum: ln loss there.
        certified: each cell's minimum is certified.
    """

    fitted: Float64[np.ndarray, "problems n"]
    excess: Float64[np.ndarray, "problems n"]
    cell_u: Float64[np.ndarray, "problems cells choices"]
    cell_minimum: Float64[np.ndarray, "problems cells"]
    certified: Bool[np.ndarray, "problems cells"]


class Estimate(NamedTuple):
    """Fits with the weights that they were reached with.

    Attributes:
        solution: theta, cost and convergence, one a problem.
        weights: of the last round.
        second_start: cost of the second-best start over that of the best, minus 1.
        surface: the fits on their rows.
    """

    solution: Solution
    weights: Float64[np.ndarray, "problems n"]
    second_start: Float64[np.ndarray, " problems"]
    surface: Surface


def estimate(
    family: Family,
    rows: Rows,
    counts: Float64[np.ndarray, "problems n"],
    box: Float64[np.ndarray, "2 choices"],
    *,
    seed: int = 0,
    objective: Objective | None = None,
    backend: Backend = "numpy",
    progress: Progress | None = None,
) -> Estimate:
    """Fit a family to the rows, a problem for each line of counts.

    Args:
        family: what is fitted.
        rows: shared by all problems.
        counts: how often a problem has each row, 0 for never.
        box: lower and upper bounds of u within which a cell's minimum is sought.
        seed: of the starts.
        objective: scales of the weights; default the family's own `misfit`.
        backend: of the arithmetic.
        progress: told of finished problems.
    """
    objective = objective or Objective(growth=family.misfit)
    first = family if isinstance(family, Linear) else Quadratic(family.shape)
    pilot = _linear(first, rows, counts, box, objective, backend)
    if isinstance(family, Linear):
        second_start = np.zeros(len(counts))
        if progress is not None:
            progress.advance(len(counts))
        return pilot._replace(second_start=second_start)
    wide = Wide.of(family, rows, _copies(rows, counts))
    weights = pilot.weights
    left_out, served = shared_search.group(counts == 0, shared(family))
    if len(left_out) == len(counts):
        theta, second_start = _cold(wide, weights, seed, backend)
    else:
        kept = (~left_out).astype(np.float64)
        first_fit = _linear(first, rows, kept, box, objective, backend)
        fewer = Wide.of(family, rows, _copies(rows, kept))
        ends, _ = _search(fewer, first_fit.weights, seed, backend)
        theta, second_start = _near(wide, weights, ends[served], backend)
    for _ in range(objective.rounds):
        weights = reweigh(family, rows, theta, counts, box, objective, weights, backend)
        theta = _go_on(wide, weights, theta, ROUND_STEPS, backend).theta
    solution = _go_on(wide, weights, theta, LAST_STEPS, backend, progress)
    surface = evaluate(family, rows, solution.theta, box, backend)
    return Estimate(solution, weights, second_start, surface)


def shared(family: Family) -> float:
    """Of the rows, what a search that serves several folds leaves out at most."""
    has_terms = family.terms is not None
    return shared_search.MOST_OF_TERMS if has_terms else shared_search.MOST


class Wide(NamedTuple):
    """A family on its rows, with what tells the cells apart where they share noise.

    Attributes:
        family: with so many cells where it is `Shared`.
        rows: with their indicators.
        copies: how often each cell is in each problem; of no cells otherwise.
    """

    family: Family
    rows: Rows
    copies: Float64[np.ndarray, "problems cells"]

    @classmethod
    def of(
        cls, family: Family, rows: Rows, copies: Float64[np.ndarray, "problems cells"]
    ) -> Wide:
        """Of a family that may be `Shared` or not."""
        if not isinstance(family, Shared):
            return cls(family, rows, copies[:, :0])
        cells = len(rows.cell_s)
        z = np.concatenate([rows.z, np.eye(cells)[rows.cell]], axis=1)
        return cls(family.with_cells(cells), rows._replace(z=z), copies)

    def all_weights(
        self, weights: Float64[np.ndarray, "problems n"]
    ) -> Float64[np.ndarray, "problems m"]:
        """As the family wants them: of the rows, then of the cells."""
        return np.concatenate([weights, self.copies], axis=1)


def _go_on(
    wide: Wide,
    weights: Float64[np.ndarray, "problems n"],
    theta: Float64[np.ndarray, "problems p"],
    steps: int,
    backend: Backend,
    progress: Progress | None = None,
) -> Solution:
    """From where the problems are; in float64, but in the program of the search."""
    return least_squares.solve(
        wide.family,
        wide.rows.z,
        wide.rows.target,
        row_weights.given(wide.all_weights(weights)),
        theta,
        bulk=0,
        iterations=steps,
        backend=backend,
        progress=progress,
    )


def _copies(
    rows: Rows, counts: Float64[np.ndarray, "problems n"]
) -> Float64[np.ndarray, "problems cells"]:
    """How often each cell is in each problem, once where it is not at all.

    The offset of a cell that is left out is then 0 and not undetermined. As often as
    all its rows are: of a cell that is there once one may count twice.
    """
    copies = np.ones((len(counts), len(rows.cell_s)))
    for cell in np.unique(rows.cell):
        members = counts[:, rows.cell == cell]
        least = np.where(members > 0, members, np.inf).min(axis=1)
        copies[:, cell] = np.where(np.isfinite(least), np.maximum(least, 1.0), 1.0)
    return copies


def refit_without(
    family: Family,
    rows: Rows,
    weights: Float64[np.ndarray, " n"],
    counts: Float64[np.ndarray, "problems n"],
    theta: Float64[np.ndarray, " p"],
    box: Float64[np.ndarray, "2 choices"],
    *,
    objective: Objective | None = None,
    backend: Backend = "numpy",
    progress: Progress | None = None,
) -> Solution:
    """Fits that differ little from one fit, with weights of their own: cells left out.

    Args:
        family: what is fitted.
        rows: shared by all problems.
        weights: of the rows in the full fit, where all problems start.
        counts: how often a problem has each row, 0 for never.
        theta: of the full fit.
        box: lower and upper bounds of u within which a cell's minimum is sought.
        objective: scales of the weights; default the family's own `misfit`.
        backend: of the arithmetic.
        progress: told of finished problems.
    """
    objective = objective or Objective(growth=family.misfit)
    if isinstance(family, Linear):
        solution = _linear(family, rows, counts, box, objective, backend).solution
        if progress is not None:
            progress.advance(len(counts))
        return solution
    wide = Wide.of(family, rows, _copies(rows, counts))
    own, start = counts * weights, np.tile(theta, (len(counts), 1))
    for _ in range(_NEAR_ROUNDS):
        start = _go_on(wide, own, start, ROUND_STEPS, backend).theta
        own = reweigh(family, rows, start, counts, box, objective, own, backend)
    return _go_on(wide, own, start, LAST_STEPS, backend, progress)


def refit(
    family: Family,
    rows: Rows,
    weights: Float64[np.ndarray, " n"],
    counts: Float64[np.ndarray, "draws cells"],
    theta: Float64[np.ndarray, " p"],
    *,
    rivals: Float64[np.ndarray, "rivals cells"] | None = None,
    backend: Backend = "numpy",
    progress: Progress | None = None,
) -> Solution:
    """Fits from a warm start under weights that stay as they are: bootstrap draws.

    Args:
        family: what is fitted.
        rows: shared by all draws.
        weights: of the rows in the full fit.
        counts: how often each draw has each cell.
        theta: where all draws start.
        rivals: counts of draws at whose ends all others start, too: the lowest is kept,
            with the steps of all.
        backend: of the kernels.
        progress: told of finished fits: of each draw 1 + rivals.

    Raises:
        Interrupted: Ctrl-C; carries the solution of the first draws.
    """
    starts = theta[None]
    if rivals is not None:
        ends = refit(family, rows, weights, rivals, theta, backend=backend).theta
        starts = np.vstack([starts, ends])
    every = np.tile(starts, (len(counts), 1))
    counts = np.repeat(counts, len(starts), axis=0)
    wide = Wide.of(family, rows, np.maximum(counts, 1.0))
    plan = _resampled(wide, rows, weights, counts)
    try:
        found = least_squares.solve(
            wide.family,
            wide.rows.z,
            wide.rows.target,
            plan,
            every,
            bulk=DRAW_STEPS,
            iterations=DRAW_STEPS,
            backend=backend,
            progress=progress,
        )
    except least_squares.Interrupted as stopped:
        raise least_squares.Interrupted(
            _best(stopped.finished, len(starts))
        ) from stopped
    return _best(found, len(starts))


def _resampled(
    wide: Wide,
    rows: Rows,
    weights: Float64[np.ndarray, " n"],
    counts: Float64[np.ndarray, "draws cells"],
) -> row_weights.Weights:
    """Weights of draws: of the rows, and of each cell's offset where there are some."""
    if not wide.copies.shape[1]:
        return row_weights.per_cell(weights, rows.cell, counts)
    # Further places: of each cell's offset, whose prior counts as often.
    cells = len(rows.cell_s)
    place = np.concatenate([rows.cell, cells + np.arange(cells)])
    both = np.concatenate([counts, wide.copies], axis=1)
    return row_weights.per_cell(np.append(weights, np.ones(cells)), place, both)


def _best(found: Solution, starts: int) -> Solution:
    """The lowest of each so many in a row; the last ones, where some miss, go."""
    whole = len(found.cost) // starts
    cost = found.cost[: whole * starts].reshape(whole, starts)
    lowest = np.where(np.isfinite(cost), cost, np.inf).argmin(axis=1)
    at = lowest + starts * np.arange(whole)
    steps = found.iterations[: whole * starts].reshape(whole, starts)
    return found._replace(
        theta=found.theta[at],
        cost=found.cost[at],
        decrement=found.decrement[at],
        status=found.status[at],
        iterations=steps.sum(axis=1),
    )


def make_room() -> None:
    """Drop what was compiled for earlier tables, where the process is full of it.

    A fit of a table of another size compiles its programs anew, some 13,000 maps of
    memory for all families, and nothing else drops those that are not used again.
    """
    if batches.is_full():
        programs: tuple[Any, ...] = (*least_squares.PROGRAMS, _evaluate)
        for program in programs:
            program.clear_cache()


def is_settled(solution: Solution, rows: int) -> Bool[np.ndarray, " problems"]:
    """Whether what is left to gain is below the noise.

    A further Gauss-Newton step would lower the cost by decrement^2 of itself. Under
    0.05 of the noise of one run (cost / rows), no combination of parameters is further
    than 0.22 of its own standard error from where it is going.
    """
    return solution.converged | (solution.decrement**2 * rows <= _UNSETTLED)


def evaluate(
    family: Family,
    rows: Rows,
    theta: Float64[np.ndarray, "problems p"],
    box: Float64[np.ndarray, "2 choices"],
    backend: Backend = "numpy",
) -> Surface:
    """The surfaces of theta on the rows and at the minimum of every cell."""
    if backend == "numpy":
        with np.errstate(all="ignore"):
            fitted = forms.log_losses(family, theta[:, None], rows.z)
            found = _minima(family, theta, rows.cell_s, box)
        excess = np.maximum(fitted - found.value[:, rows.cell], 0.0)
        return Surface(fitted, excess, found.u, found.value, found.converged)
    with jax.enable_x64(True):
        arrays = map(jnp.asarray, (theta, rows.z, rows.cell_s, rows.cell, *box))
        return Surface(*map(np.asarray, _evaluate(family, *arrays)))


def _minima(
    family: Family, theta: np.ndarray, cell_s: np.ndarray, box: np.ndarray
) -> Minimum:
    """Of every theta at every cell."""
    surfaces = forms.form(family, theta[:, None], cell_s)
    middle = np.zeros((len(theta), len(cell_s), 1)) + box.mean(axis=0)
    return lowest(surfaces, middle, *box)


@partial(jax.jit, static_argnames="family")
def _evaluate(
    family: Family,
    theta: Array,
    z: Array,
    cell_s: Array,
    cell: Array,
    low: Array,
    high: Array,
) -> tuple[Array, ...]:
    centre = 0.5 * (low + high)

    def minimum(theta: Array, s: Array) -> Minimum:
        place = argmin.Place(s, low, high)
        return argmin.argmin(family.log_loss, theta, centre, place)

    fitted = jax.vmap(family.log_losses, (0, None))(theta, z)
    found = jax.vmap(jax.vmap(minimum, (None, 0)), (0, None))(theta, cell_s)
    excess = jnp.maximum(fitted - found.value[:, cell], 0.0)
    return fitted, excess, found.u, found.value, found.converged


def reweigh(
    family: Family,
    rows: Rows,
    theta: Float64[np.ndarray, "problems k"],
    counts: Float64[np.ndarray, "problems n"],
    box: Float64[np.ndarray, "2 choices"],
    objective: Objective,
    last: Float64[np.ndarray, "problems n"],
    backend: Backend,
) -> Float64[np.ndarray, "problems n"]:
    """From the excess of the surface alone; what a cell shares is no residual.

    Were it one, cells near the surface would count for more and the others for less,
    as if the surface were surer than it is. `last` are the weights that led to theta.
    """
    surface = evaluate(family, rows, theta, box, backend)
    residual = rows.target - surface.fitted
    member = np.eye(len(rows.cell_s))[rows.cell]
    shared, _ = cell_offsets(residual, last, member, _copies(rows, counts))
    left = residual - shared @ member.T
    return objective.weights(left, surface.excess, counts, rows.error)


def _linear(
    family: Linear,
    rows: Rows,
    counts: Float64[np.ndarray, "problems n"],
    box: Float64[np.ndarray, "2 choices"],
    objective: Objective,
    backend: Backend,
) -> Estimate:
    """From equal weights; the excess of each fit weighs the next."""
    weights = counts / 0.01**2
    for _ in range(objective.rounds):
        theta = _least(family, rows, weights, backend).theta
        weights = reweigh(family, rows, theta, counts, box, objective, weights, backend)
    solution = _least(family, rows, weights, backend)
    surface = evaluate(family, rows, solution.theta, box, backend)
    return Estimate(solution, weights, np.zeros(len(counts)), surface)


def _least(
    family: Linear,
    rows: Rows,
    weights: Float64[np.ndarray, "problems n"],
    backend: Backend,
) -> Solution:
    plan = row_weights.given(weights)
    return least_squares.solve(family, rows.z, rows.target, plan, backend=backend)


def _cold(
    wide: Wide,
    weights: Float64[np.ndarray, "problems n"],
    seed: int,
    backend: Backend,
) -> tuple[np.ndarray, np.ndarray]:
    """The best of many starts, and how much worse the second best is."""
    theta, cost = _search(wide, weights, seed, backend)
    return theta[:, 0], cost[:, 1] / cost[:, 0] - 1


def _search(
    wide: Wide,
    weights: Float64[np.ndarray, "problems n"],
    seed: int,
    backend: Backend,
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the starts that went on, and their costs; a problem's best first."""
    family = wide.family
    assert isinstance(family, Curved)
    # Of each problem its own, whatever the others.
    each = [np.random.default_rng([seed, k]) for k in range(len(weights))]
    starts = np.stack([family.starts(rng, STARTS) for rng in each])
    every = wide.all_weights(weights)

    def go(steps: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        return descend(family, wide.rows, every, starts, steps, backend)

    for steps, kept in SEARCH:
        starts = go((steps, 0))[0][:, :kept]
    return go((START_STEPS, START_STEPS))


def _near(
    wide: Wide,
    weights: Float64[np.ndarray, "problems n"],
    starts: Float64[np.ndarray, "problems starts p"],
    backend: Backend,
) -> tuple[np.ndarray, np.ndarray]:
    """As `_cold`, from the ends of a search on other rows of the table."""
    assert isinstance(wide.family, Curved)
    rows, every = wide.rows, wide.all_weights(weights)
    for steps, kept in (
        ((NEAR_STEPS, 0), NEAR_KEPT),
        ((START_STEPS, START_STEPS), NEAR_KEPT),
    ):
        starts, cost = descend(wide.family, rows, every, starts, steps, backend)
        starts, cost = starts[:, :kept], cost[:, :kept]
    return starts[:, 0], cost[:, 1] / cost[:, 0] - 1


def descend(
    family: Curved,
    rows: Rows,
    weights: Float64[np.ndarray, "problems m"],
    starts: Float64[np.ndarray, "problems starts p"],
    steps: tuple[int, int],
    backend: Backend = "numpy",
) -> tuple[np.ndarray, np.ndarray]:
    """Many starts at once, each problem's best first.

    Args:
        family: what is fitted.
        rows: shared by all problems.
        weights: of the rows, a problem each.
        starts: of each problem.
        steps: at most so many in float32, then in float64.
        backend: of the arithmetic.

    Returns:
        Theta [problems, starts, p] and cost [problems, starts].
    """
    problems, count, size = starts.shape
    solution = least_squares.solve(
        family,
        rows.z,
        rows.target,
        row_weights.given(np.repeat(weights, count, axis=0)),
        starts.reshape(-1, size),
        bulk=steps[0],
        iterations=steps[1],
        backend=backend,
    )
    cost = np.where(np.isfinite(solution.cost), solution.cost, np.inf)
    cost = cost.reshape(problems, count)
    order = np.argsort(cost, axis=1)
    theta = solution.theta.reshape(starts.shape)
    return (
        np.take_along_axis(theta, order[:, :, None], axis=1),
        np.take_along_axis(cost, order, axis=1),
    )
