"""Damped Newton in NumPy: many small problems, those that ended no longer counted.

The method, its damping and when it stops are described in `surrogate.numerics.newton`;
constants are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from surrogate.base import interrupts
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
        # What is no number at a trial is refused, so that it need not be said.
        with np.errstate(all="ignore"):
            is_taken = _accept(now, live, equations(now.trial[live], live))
            is_over = _judge(now, live, is_taken, rules)
            live = live[~is_over]
            live = live[_propose(now, live)]
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


def _judge(
    now: _State, live: np.ndarray, is_taken: np.ndarray, rules: _Rules
) -> Bool[np.ndarray, " live"]:
    """Which problems have ended; how is written down."""
    cost, v = now.cost[live], now.v[live]
    newton = solve_spd(now.hessian[live], now.gradient[live])
    left = np.einsum("rp,rp->r", now.gradient[live], newton)
    is_refused = ~is_taken & (now.steps[live] > 0)
    is_flat = now.foreseen[live] < rules.rounding * cost
    # Of a perfect fit no cost is left to measure a gain by.
    is_tiny = (np.abs(newton) <= rules.rounding * np.abs(v)).all(axis=1)
    is_dead = ~np.isfinite(cost)
    is_settled = (left <= rules.tolerance * cost) | (is_refused & (is_flat | is_tiny))
    status = np.full(live.size, -1)
    status[now.steps[live] >= rules.limit] = LIMIT
    status[is_settled] = CONVERGED
    status[is_dead] = NOT_FINITE
    known = np.isfinite(left)
    share = np.maximum(np.where(known, left, 0.0), 0.0) / np.maximum(cost, _TINY)
    now.decrement[live] = np.where(known, np.sqrt(share), np.inf)
    is_over = status >= 0
    now.status[live] = status
    # A gain below rounding cannot be seen in the cost; the gradient knows more digits.
    is_blind = is_settled & ~is_dead & (left <= rules.rounding * cost)
    now.v[live[is_blind]] -= newton[is_blind]
    return is_over


def _propose(now: _State, live: np.ndarray) -> Bool[np.ndarray, " live"]:
    """The next trial, damping raised until the matrix is definite; whether there is."""
    goes_on = np.ones(live.size, dtype=bool)
    asked = np.arange(live.size)
    diagonal = np.arange(now.v.shape[1])
    step = np.zeros((live.size, now.v.shape[1]))
    for _ in range(RAISES):
        if not asked.size:
            break
        rows = live[asked]
        matrix = now.hessian[rows]
        matrix[:, diagonal, diagonal] += now.damping[rows, None] * now.size[rows]
        found = -solve_spd(matrix, now.gradient[rows])
        is_found = np.isfinite(found).all(axis=1)
        step[asked[is_found]] = found[is_found]
        asked = asked[~is_found]
        raised = RAISE * now.damping[live[asked]]
        now.damping[live[asked]] = np.maximum(raised, FIRST_RAISE)
    goes_on[asked] = False
    goes_on &= now.damping[live] <= LARGEST_DAMPING
    now.status[live[~goes_on]] = STUCK
    bend = np.einsum("ri,rij,rj->r", step, now.hessian[live], step, optimize=True)
    slope = np.einsum("rp,rp->r", now.gradient[live], step)
    now.foreseen[live] = -(2 * slope + bend)
    now.trial[live] = now.v[live] + step
    now.damping[live] = np.maximum(now.damping[live], LEAST_DAMPING)
    return goes_on
