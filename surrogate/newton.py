"""Newton's method with damping for many small problems that share one program.

Problems wait in a queue; as many as there are slots are under way at a time. A slot
whose problem has ended writes it out and takes the next, so that a finished problem
stops costing. Every operation treats the slots alike and apart: what a problem gives
depends on nothing but itself.

The Hessian is exact, so that steps follow long bent valleys, where Gauss-Newton crawls,
and the end is quadratic. Where it is not positive definite the damping rises until it
is; damping and acceptance are each problem's own.

Source: Nielsen 1999 (IMM-REP-1999-05), the damping; Moré 1978, the scale of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from surrogate.worlds import Numbers
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


class Minima(NamedTuple):
    """What a queue of problems came to.

    Attributes:
        v: where.
        cost: there.
        decrement: sqrt(g' H^-1 g / cost), free of the parameters' scale; infinite where
            the Hessian is not positive definite. Its square times cost is what a
            Newton step would still gain, which bounds how far any smooth answer still
            moves, in units of its own standard error.
        status: an index of `STATUSES`.
        steps: tried.
    """

    v: Float[Numbers, "problems p"]
    cost: Float[Numbers, " problems"]
    decrement: Float[Numbers, " problems"]
    status: Int[Numbers, " problems"]
    steps: Int[Numbers, " problems"]


class _Slots(NamedTuple):
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


class _Loop(NamedTuple):
    slots: _Slots
    waiting: Int[Array, ""]
    """The next problem of the queue."""
    found: Minima


def minimise(
    model: Model,
    shared: Any,
    each: Any,
    start: Float[Array, "problems p"],
    *,
    count: Int[Array, ""],
    limit: Int[Array, ""],
    tolerance: Float[Array, ""],
    slots: int,
) -> Minima:
    """Minimise the first `count` problems of a queue.

    Args:
        model: cost, gradient and Hessian.
        shared: data of all problems.
        each: arrays with a leading axis of problems.
        start: where each begins.
        count: how many are to be solved; what follows is padding.
        limit: steps a problem at most.
        tolerance: decrement^2 at which a problem has converged.
        slots: how many are under way at a time.
    """
    take = partial(jax.tree.map, lambda array: array[:slots])
    loop = _Loop(
        _fresh(jnp.arange(slots, dtype=jnp.int32), take(each), start[:slots]),
        jnp.asarray(slots, jnp.int32),
        _nothing(start),
    )

    def turn(loop: _Loop) -> _Loop:
        now, ended = _advance(model, shared, loop.slots, count, limit, tolerance)
        found = _write(loop.found, now, ended)
        is_over = ended.status >= 0
        slots, waiting = lax.cond(
            jnp.any(is_over),
            lambda: _refill(now, is_over, loop.waiting, count, each, start),
            lambda: (now._replace(steps=now.steps + 1), loop.waiting),
        )
        return _Loop(slots, waiting, found)

    return lax.while_loop(
        lambda loop: jnp.any(loop.slots.problem < count), turn, loop
    ).found


class _Ended(NamedTuple):
    """Status of a slot's problem, -1 while it goes on, and its decrement."""

    status: Int[Array, " slots"]
    decrement: Float[Array, " slots"]


def _advance(
    model: Model,
    shared: Any,
    now: _Slots,
    count: Array,
    limit: Array,
    tolerance: Array,
) -> tuple[_Slots, _Ended]:
    """Evaluate every trial, take it or not, and choose the next."""
    at = model.normal_equations(now.trial, shared, now.each)
    is_fresh = now.steps == 0
    is_sound = jnp.isfinite(at.cost) & jnp.isfinite(at.hessian.sum(axis=(1, 2)))
    is_better = is_sound & (at.cost < now.at.cost)
    fall = now.at.cost - at.cost
    gain = fall / now.foreseen
    eased = now.damping * jnp.maximum(EASE, 1 - (2 * gain - 1) ** 3)
    damping = jnp.where(is_better, eased, now.damping * now.growth)
    damping = jnp.where(is_fresh, now.damping, damping)
    growth = jnp.where(is_better, GROWTH, GROWTH * now.growth)
    v = jnp.where(is_better[:, None], now.trial, now.v)
    at = NormalEquations(
        jnp.where(is_better, at.cost, now.at.cost),
        jnp.where(is_better[:, None], at.gradient, now.at.gradient),
        jnp.where(is_better[:, None, None], at.hessian, now.at.hessian),
    )
    size = jnp.maximum(now.size, jnp.abs(jnp.diagonal(at.hessian, axis1=1, axis2=2)))

    newton = model.solve_spd(at.hessian, at.gradient)
    left = jnp.sum(at.gradient * newton, axis=1)
    rounding = NOISE * jnp.finfo(v.dtype).eps
    is_refused = ~is_better & ~is_fresh
    is_flat = is_refused & (now.foreseen < rounding * at.cost)
    # Of a perfect fit no cost is left to measure a gain by.
    is_tiny = jnp.all(jnp.abs(newton) <= rounding * jnp.abs(v), axis=1)
    is_still = is_refused & is_tiny
    is_dead = ~jnp.isfinite(at.cost)
    is_settled = (left <= tolerance * at.cost) | is_flat | is_still
    is_live = now.problem < count
    step, damping, is_stuck = _damped(
        model.solve_spd, at, size, damping, is_live & ~is_settled & ~is_dead
    )
    curved = jnp.einsum("si,sij,sj->s", step, at.hessian, step, precision="highest")
    foreseen = -(2 * jnp.sum(at.gradient * step, axis=1) + curved)
    status = jnp.full_like(now.problem, -1)
    status = jnp.where(now.steps >= limit, LIMIT, status)
    status = jnp.where(is_stuck, STUCK, status)
    status = jnp.where(is_settled, CONVERGED, status)
    status = jnp.where(is_dead, NOT_FINITE, status)
    # A perfect fit costs nothing, and nothing is left.
    least = jnp.finfo(v.dtype).tiny
    decrement = jnp.sqrt(jnp.maximum(left, 0.0) / jnp.maximum(at.cost, least))
    decrement = jnp.where(jnp.isfinite(left), decrement, jnp.inf)
    # A gain below rounding cannot be seen in the cost; the gradient knows more digits.
    is_blind = is_settled & (left <= rounding * at.cost)
    after = _Slots(
        now.problem,
        now.each,
        v + step,
        jnp.where(is_blind[:, None], v - newton, v),
        at,
        size,
        jnp.maximum(damping, LEAST_DAMPING),
        growth,
        foreseen,
        now.steps,
    )
    return after, _Ended(jnp.where(is_live, status, -1), decrement)


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


def _write(found: Minima, now: _Slots, ended: _Ended) -> Minima:
    """Copy what has ended to its place in the queue."""
    nowhere = found.cost.shape[0]
    place = jnp.where(ended.status >= 0, now.problem, nowhere)
    values = Minima(now.v, now.at.cost, ended.decrement, ended.status, now.steps)

    def put(array: Array, value: Array) -> Array:
        return array.at[place].set(value.astype(array.dtype), mode="drop")

    return jax.tree.map(put, found, values)


def _refill(
    now: _Slots,
    is_over: Bool[Array, " slots"],
    waiting: Int[Array, ""],
    count: Int[Array, ""],
    each: Any,
    start: Array,
) -> tuple[_Slots, Array]:
    """The next problems of the queue in the slots that are free, in order."""
    place = waiting + jnp.cumsum(is_over, dtype=jnp.int32) - 1
    source = jnp.where(is_over & (place < count), place, 0)
    fresh = _fresh(
        jnp.where(is_over, place, 0),
        jax.tree.map(lambda a: a[source], each),
        start[source],
    )

    def pick(new: Array, old: Array) -> Array:
        return jnp.where(is_over.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

    counted = now._replace(steps=now.steps + 1)
    return jax.tree.map(pick, fresh, counted), waiting + jnp.sum(
        is_over, dtype=jnp.int32
    )


def _fresh(problem: Array, each: Any, start: Array) -> _Slots:
    """Slots whose problems have not been evaluated yet."""
    slots, size = start.shape
    zero = jnp.zeros((slots,), start.dtype)
    none = NormalEquations(
        jnp.full_like(zero, jnp.inf),
        jnp.zeros_like(start),
        jnp.zeros((slots, size, size), start.dtype),
    )
    return _Slots(
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


def _nothing(start: Array) -> Minima:
    none = jnp.zeros(start.shape[:1], start.dtype)
    whole = jnp.zeros(start.shape[:1], jnp.int32)
    return Minima(jnp.zeros_like(start), none, none, whole, whole)
