"""Damped Newton in NumPy: many small problems, those that ended no longer counted.

The method, its damping and when it stops are described in `surrogate.numerics.newton`;
constants are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from surrogate.base import interrupts
from surrogate.base.shapes import Bool, Float64
from surrogate.numerics.newton import Minima
from surrogate.numerics.newton_step import (
    CONVERGED,
    DAMPING,
    EASE,
    FIRST_RAISE,
    GROWTH,
    LARGEST_DAMPING,
    LEAST_DAMPING,
    LIMIT,
    NOISE,
    NOT_FINITE,
    RAISE,
    RAISES,
    STUCK,
)
from surrogate.numerics.numpy_backend.cholesky import solve_spd
from surrogate.numerics.numpy_backend.sums import Normal

Equations = Callable[[np.ndarray, np.ndarray], Normal]
"""Of places [R, p] of the problems of these numbers [R]."""

_TINY = float(np.finfo(np.float64).tiny)


class _Rules(NamedTuple):
    """When a problem ends.

    Attributes:
        limit: steps at most.
        tolerance: decrement^2 at which it has converged.
        rounding: falls below this share of the cost tell nothing.
    """

    limit: int
    tolerance: float
    rounding: float


class _State:
    """All problems: where each is, and the next place to try."""

    def __init__(self, start: Float64[np.ndarray, "problems p"]) -> None:
        count, size = start.shape
        self.v, self.trial = start.copy(), start.copy()
        self.cost = np.full(count, np.inf)
        self.gradient = np.zeros((count, size))
        self.hessian = np.zeros((count, size, size))
        self.size = np.zeros((count, size))
        self.damping = np.full(count, DAMPING)
        self.growth = np.full(count, GROWTH)
        self.foreseen = np.ones(count)
        self.decrement = np.full(count, np.inf)
        self.status = np.full(count, -1)
        self.steps = np.zeros(count, np.int64)


def minimise(
    equations: Equations,
    start: Float64[np.ndarray, "problems p"],
    *,
    limit: int,
    tolerance: float,
    slots: int,
    dtype: type[np.floating] = np.float64,
) -> Minima:
    """Minimise each problem from its start.

    Args:
        equations: cost, gradient and Hessian.
        start: where each begins.
        limit: steps a problem at most.
        tolerance: decrement^2 at which a problem has converged.
        slots: how many are under way at a time.
        dtype: in which the equations are computed, which bounds what they tell.
    """
    rules = _Rules(limit, tolerance, NOISE * float(np.finfo(dtype).eps))
    now = _State(start)
    live, waiting = np.arange(min(slots, len(start))), min(slots, len(start))
    while live.size:
        interrupts.check()
        # A trial that is not finite is refused: NumPy need not warn of it.
        with np.errstate(all="ignore"):
            is_taken = _accept(now, live, equations(now.trial[live], live))
            step = _damped(now, live)
            is_over = _judge(now, live, is_taken, step, rules)
            live = live[~is_over]
            live = live[_propose(now, live, step[~is_over])]
        now.steps[live] += 1
        ended = slots - live.size
        fresh = np.arange(waiting, min(waiting + ended, len(start)))
        live, waiting = np.concatenate([live, fresh]), waiting + fresh.size
    return Minima(now.v, now.cost, now.decrement, now.status, now.steps)


def _accept(now: _State, live: np.ndarray, at: Normal) -> Bool[np.ndarray, " live"]:
    """Go where the cost is lower, and set the damping by how well it was foreseen."""
    sound = np.isfinite(at.cost) & np.isfinite(at.hessian.sum(axis=(1, 2)))
    is_taken = sound & (at.cost < now.cost[live])
    is_fresh = now.steps[live] == 0
    taken, refused = live[is_taken], live[~is_taken & ~is_fresh]
    known = live[is_taken & ~is_fresh]
    fall = now.cost[known] - at.cost[is_taken & ~is_fresh]
    gain = fall / now.foreseen[known]
    now.damping[known] *= np.maximum(EASE, 1 - (2 * gain - 1) ** 3)
    now.growth[taken] = GROWTH
    now.damping[refused] *= now.growth[refused]
    now.growth[refused] *= GROWTH
    now.v[taken] = now.trial[taken]
    now.cost[taken] = at.cost[is_taken]
    now.gradient[taken] = at.gradient[is_taken]
    now.hessian[taken] = at.hessian[is_taken]
    diagonal = np.abs(np.diagonal(at.hessian[is_taken], axis1=1, axis2=2))
    now.size[taken] = np.maximum(now.size[taken], diagonal)
    return is_taken


def _damped(now: _State, rows: np.ndarray) -> Float64[np.ndarray, "rows p"]:
    """The steps of these problems at their damping; NaN where it is too small."""
    matrix = now.hessian[rows]
    diagonal = np.arange(now.v.shape[1])
    matrix[:, diagonal, diagonal] += now.damping[rows, None] * now.size[rows]
    return -solve_spd(matrix, now.gradient[rows])


def _judge(
    now: _State,
    live: np.ndarray,
    is_taken: np.ndarray,
    step: Float64[np.ndarray, "live p"],
    rules: _Rules,
) -> Bool[np.ndarray, " live"]:
    """Mark the problems that have ended, with their status.

    A damped step gains less than a full one: where even the damped step would gain too
    much, the problem has not converged, and the full step is not computed.
    """
    cost, steps = now.cost[live], now.steps[live]
    is_refused = ~is_taken & (steps > 0)
    gain = -np.einsum("rp,rp->r", now.gradient[live], step)
    is_far = ~(gain <= rules.tolerance * cost) & np.isfinite(cost)
    asked = np.flatnonzero(~is_far | is_refused | (steps >= rules.limit))
    rows = live[asked]
    cost, v = cost[asked], now.v[rows]
    newton, left = _undamped(now, rows)
    is_flat = now.foreseen[rows] < rules.rounding * cost
    # Of a perfect fit no cost is left to measure a gain by.
    is_tiny = (np.abs(newton) <= rules.rounding * np.abs(v)).all(axis=1)
    is_dead = ~np.isfinite(cost)
    is_refused = is_refused[asked]
    is_settled = (left <= rules.tolerance * cost) | (is_refused & (is_flat | is_tiny))
    status = np.full(rows.size, -1)
    status[now.steps[rows] >= rules.limit] = LIMIT
    status[is_settled] = CONVERGED
    status[is_dead] = NOT_FINITE
    now.status[rows] = status
    # A gain below rounding cannot be seen in the cost; the gradient knows more digits.
    is_blind = is_settled & ~is_dead & (left <= rules.rounding * cost)
    now.v[rows[is_blind]] -= newton[is_blind]
    is_over = np.zeros(live.size, dtype=bool)
    is_over[asked] = status >= 0
    return is_over


def _undamped(
    now: _State, rows: np.ndarray
) -> tuple[Float64[np.ndarray, "rows p"], Float64[np.ndarray, " rows"]]:
    """Full Newton steps and what they would gain; records the decrement."""
    newton = solve_spd(now.hessian[rows], now.gradient[rows])
    left = np.einsum("rp,rp->r", now.gradient[rows], newton)
    known = np.isfinite(left)
    share = np.maximum(np.where(known, left, 0.0), 0.0)
    share /= np.maximum(now.cost[rows], _TINY)
    now.decrement[rows] = np.where(known, np.sqrt(share), np.inf)
    return newton, left


def _propose(
    now: _State, live: np.ndarray, step: Float64[np.ndarray, "live p"]
) -> Bool[np.ndarray, " live"]:
    """The next trial, damped until the matrix is definite, and whether there is one."""
    goes_on = np.ones(live.size, dtype=bool)
    asked = np.flatnonzero(~np.isfinite(step).all(axis=1))
    step[asked] = 0.0
    for turn in range(RAISES):
        if not asked.size:
            break
        raised = RAISE * now.damping[live[asked]]
        now.damping[live[asked]] = np.maximum(raised, FIRST_RAISE)
        if turn == RAISES - 1:
            break
        found = _damped(now, live[asked])
        is_found = np.isfinite(found).all(axis=1)
        step[asked[is_found]] = found[is_found]
        asked = asked[~is_found]
    goes_on[asked] = False
    goes_on &= now.damping[live] <= LARGEST_DAMPING
    stuck = live[~goes_on]
    now.status[stuck] = STUCK
    if stuck.size:
        _undamped(now, stuck)
    bend = np.einsum("ri,rij,rj->r", step, now.hessian[live], step, optimize=True)
    slope = np.einsum("rp,rp->r", now.gradient[live], step)
    now.foreseen[live] = -(2 * slope + bend)
    now.trial[live] = now.v[live] + step
    now.damping[live] = np.maximum(now.damping[live], LEAST_DAMPING)
    return goes_on
