"""One step of Newton's method with damping, for problems side by side.

A trial is evaluated and taken or not (`_accept`), its problem has ended or not
(`_judge`), and what goes on gets the next trial (`_propose`). Every operation works
problem by problem.

The Hessian is exact, so that steps follow long bent valleys, where Gauss-Newton crawls,
and the end is quadratic. Where it is not positive definite the damping rises until it
is; damping and acceptance are each problem's own.

Source: Nielsen 1999 (IMM-REP-1999-05), the damping; Moré 1978, the scale of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jax import lax

from surrogate.base.shapes import Array, Bool, Float, Int
from surrogate_kernels.ref import NormalEquations

CONVERGED, LIMIT, NOT_FINITE, STUCK = range(4)
STATUSES = (
    "converged",
    "the limit of steps was reached",
    "the cost at the start is no number",
    "no step lowers the cost",
)
DAMPING = 1e-4
LEAST_DAMPING = 1e-14
LARGEST_DAMPING = 1e10
# A step as good as foreseen eases the damping to this share of it.
EASE = 0.1
GROWTH = 2.0
# Where a factorisation fails: the damping that is tried next, at least and times.
FIRST_RAISE = 1e-8
RAISE = 10.0
RAISES = 24
# Multiples of the rounding error of a cost below which falls tell nothing.
NOISE = 64.0


@runtime_checkable
class Model(Protocol):
    """Least squares in a batch; hashable, since a compiled program depends on it."""

    def normal_equations(
        self, v: Float[Array, "slots p"], shared: Any, each: Any
    ) -> NormalEquations:
        """Cost, half its gradient and half its Hessian at v, a problem a slot."""
        ...

    def solve_spd(
        self, matrix: Float[Array, "slots p p"], right: Float[Array, "slots p"]
    ) -> Float[Array, "slots p"]:
        """Solve; NaN where not positive definite."""
        ...


class Slots(NamedTuple):
    """Problems under way."""

    problem: Int[Array, " slots"]
    each: Any
    trial: Float[Array, "slots p"]
    v: Float[Array, "slots p"]
    at: NormalEquations
    size: Float[Array, "slots p"]
    """Largest |diagonal of the Hessian| so far: the scale of the damping."""
    damping: Float[Array, " slots"]
    growth: Float[Array, " slots"]
    foreseen: Float[Array, " slots"]
    steps: Int[Array, " slots"]


class Rules(NamedTuple):
    """When a problem ends.

    Attributes:
        problems: so many, the first, are to be solved.
        limit: steps at most.
        tolerance: decrement^2 at which one has converged.
        rounding: falls below this share of the cost tell nothing.
    """

    problems: Array
    limit: Array
    tolerance: Array
    rounding: float


class Ended(NamedTuple):
    """Status of a slot's problem, -1 while it goes on, and its decrement."""

    status: Int[Array, " slots"]
    decrement: Float[Array, " slots"]


class _Verdict(NamedTuple):
    """What a trial says of its problem.

    Attributes:
        is_settled: it has converged, as far as can be told.
        is_dead: its cost is no number.
        is_blind: what is left to gain is below rounding.
        newton: the full step from where it is.
        left: what that step would gain.
    """

    is_settled: Bool[Array, " slots"]
    is_dead: Bool[Array, " slots"]
    is_blind: Bool[Array, " slots"]
    newton: Float[Array, "slots p"]
    left: Float[Array, " slots"]


def advance(model: Model, shared: Any, now: Slots, rules: Rules) -> tuple[Slots, Ended]:
    """Evaluate every trial, take it or not, and choose the next."""
    at = model.normal_equations(now.trial, shared, now.each)
    held, is_better = _accept(now, at)
    verdict = _judge(model, now, held, is_better, rules)
    after, is_stuck = _propose(model, held, verdict, now.problem < rules.problems)
    status = jnp.full_like(now.problem, -1)
    status = jnp.where(now.steps >= rules.limit, LIMIT, status)
    status = jnp.where(is_stuck, STUCK, status)
    status = jnp.where(verdict.is_settled, CONVERGED, status)
    status = jnp.where(verdict.is_dead, NOT_FINITE, status)
    status = jnp.where(now.problem < rules.problems, status, -1)
    return after, Ended(status, _decrement(held.at.cost, verdict.left))


def _accept(now: Slots, at: NormalEquations) -> tuple[Slots, Array]:
    """Go where the cost is lower, and set the damping by how well it was foreseen."""
    is_sound = jnp.isfinite(at.cost) & jnp.isfinite(at.hessian.sum(axis=(1, 2)))
    is_better = is_sound & (at.cost < now.at.cost)
    gain = (now.at.cost - at.cost) / now.foreseen
    eased = now.damping * jnp.maximum(EASE, 1 - (2 * gain - 1) ** 3)
    damping = jnp.where(is_better, eased, now.damping * now.growth)
    # Of a first trial nothing was foreseen.
    damping = jnp.where(now.steps == 0, now.damping, damping)
    at = NormalEquations(
        jnp.where(is_better, at.cost, now.at.cost),
        jnp.where(is_better[:, None], at.gradient, now.at.gradient),
        jnp.where(is_better[:, None, None], at.hessian, now.at.hessian),
    )
    diagonal = jnp.abs(jnp.diagonal(at.hessian, axis1=1, axis2=2))
    held = now._replace(
        v=jnp.where(is_better[:, None], now.trial, now.v),
        at=at,
        size=jnp.maximum(now.size, diagonal),
        damping=damping,
        growth=jnp.where(is_better, GROWTH, GROWTH * now.growth),
    )
    return held, is_better


def _judge(
    model: Model, now: Slots, held: Slots, is_better: Array, rules: Rules
) -> _Verdict:
    """Which problems have ended, by what is left to gain.

    Args:
        model: that solves for the full step.
        now: before the trial.
        held: after it.
        is_better: the trial was taken.
        rules: when a problem ends.
    """
    cost = held.at.cost
    newton = model.solve_spd(held.at.hessian, held.at.gradient)
    left = jnp.sum(held.at.gradient * newton, axis=1)
    is_refused = ~is_better & (now.steps > 0)
    # The fall that was foreseen is too small to be seen,
    is_flat = now.foreseen < rules.rounding * cost
    # or, of a perfect fit, no cost is left to measure a gain by.
    is_tiny = jnp.all(jnp.abs(newton) <= rules.rounding * jnp.abs(held.v), axis=1)
    is_settled = (left <= rules.tolerance * cost) | (is_refused & (is_flat | is_tiny))
    is_blind = is_settled & (left <= rules.rounding * cost)
    return _Verdict(is_settled, ~jnp.isfinite(cost), is_blind, newton, left)


def _propose(
    model: Model, held: Slots, verdict: _Verdict, is_live: Array
) -> tuple[Slots, Array]:
    """The next trial of what goes on, and which problems find none."""
    is_open = is_live & ~verdict.is_settled & ~verdict.is_dead
    at = held.at
    step, damping, is_stuck = _damped(
        model.solve_spd, at, held.size, held.damping, is_open
    )
    curved = jnp.einsum("si,sij,sj->s", step, at.hessian, step, precision="highest")
    # A gain below rounding cannot be seen in the cost; the gradient knows more digits.
    last = jnp.where(verdict.is_blind[:, None], held.v - verdict.newton, held.v)
    after = held._replace(
        trial=held.v + step,
        v=last,
        damping=jnp.maximum(damping, LEAST_DAMPING),
        foreseen=-(2 * jnp.sum(at.gradient * step, axis=1) + curved),
    )
    return after, is_stuck


def _decrement(cost: Array, left: Array) -> Array:
    """Sqrt of what is left in units of the cost; a perfect fit has nothing left."""
    least = jnp.finfo(cost.dtype).tiny
    found = jnp.sqrt(jnp.maximum(left, 0.0) / jnp.maximum(cost, least))
    return jnp.where(jnp.isfinite(left), found, jnp.inf)


def _damped(
    solve: Callable[[Array, Array], Array],
    at: NormalEquations,
    size: Float[Array, "slots p"],
    damping: Float[Array, " slots"],
    is_open: Bool[Array, " slots"],
) -> tuple[Array, Array, Array]:
    """A step of each problem, its damping raised until the matrix is definite.

    Returns:
        Step, damping, and whether the damping is out of bounds.
    """
    unit = jnp.asarray(np.eye(size.shape[1]), size.dtype)
    is_asked = is_open

    def is_unfinished(carry: tuple[Array, Array, Array, Array]) -> Array:
        return jnp.any(carry[2]) & (carry[3] < RAISES)

    def attempt(carry: tuple[Array, Array, Array, Array]) -> tuple:
        step, damping, is_open, raises = carry
        matrix = at.hessian + (damping[:, None] * size)[:, None, :] * unit[None]
        found = -solve(matrix, at.gradient)
        is_found = jnp.all(jnp.isfinite(found), axis=1)
        step = jnp.where((is_open & is_found)[:, None], found, step)
        is_open = is_open & ~is_found
        higher = jnp.maximum(RAISE * damping, FIRST_RAISE)
        return step, jnp.where(is_open, higher, damping), is_open, raises + 1

    start = (jnp.zeros_like(size), damping, is_open, jnp.zeros((), jnp.int32))
    step, damping, is_open, _ = lax.while_loop(is_unfinished, attempt, start)
    return step, damping, is_asked & (is_open | (damping > LARGEST_DAMPING))


def fresh(problem: Array, each: Any, start: Array) -> Slots:
    """Slots whose problems have not been evaluated yet."""
    slots, size = start.shape
    zero = jnp.zeros((slots,), start.dtype)
    none = NormalEquations(
        jnp.full_like(zero, jnp.inf),
        jnp.zeros_like(start),
        jnp.zeros((slots, size, size), start.dtype),
    )
    return Slots(
        problem,
        each,
        start,
        start,
        none,
        jnp.zeros_like(start),
        jnp.full_like(zero, DAMPING),
        jnp.full_like(zero, GROWTH),
        jnp.ones_like(zero),
        jnp.zeros((slots,), jnp.int32),
    )
