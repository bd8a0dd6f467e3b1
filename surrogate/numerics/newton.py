"""Newton's method with damping for many small problems that share one program.

Problems wait in a queue; as many as there are slots are under way at a time. A slot
whose problem has ended writes it out and takes the next, so that a finished problem
stops costing. Every operation works slot by slot, so that a problem's result depends on
that problem alone. One step is that of `newton_step`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from surrogate.base.namespaces import Numbers
from surrogate.base.shapes import Array, Bool, Float, Int
from surrogate.numerics.newton_step import (
    CONVERGED,
    LIMIT,
    NOISE,
    NOT_FINITE,
    STATUSES,
    STUCK,
    Ended,
    Model,
    Rules,
    Slots,
    advance,
    fresh,
)

__all__ = [
    "CONVERGED",
    "LIMIT",
    "NOT_FINITE",
    "STATUSES",
    "STUCK",
    "Minima",
    "Model",
    "Queue",
    "minimise",
]


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


class Queue(NamedTuple):
    """Problems that wait, and what all of them read.

    Attributes:
        shared: data of all problems.
        each: arrays with a leading axis of problems.
        start: where each begins.
        problems: how many are to be solved; what follows is padding.
    """

    shared: Any
    each: Any
    start: Float[Array, "problems p"]
    problems: Int[Array, ""]

    def take(self, which: slice | Array) -> tuple[Any, Array]:
        """Data and start of some problems."""
        return jax.tree.map(lambda array: array[which], (self.each, self.start))


class _Loop(NamedTuple):
    slots: Slots
    waiting: Int[Array, ""]
    """The next problem of the queue."""
    found: Minima


def minimise(
    model: Model,
    queue: Queue,
    *,
    limit: Int[Array, ""],
    tolerance: Float[Array, ""],
    slots: int,
) -> Minima:
    """Minimise the problems of a queue.

    Args:
        model: cost, gradient and Hessian.
        queue: the problems.
        limit: steps a problem at most.
        tolerance: decrement^2 at which a problem has converged.
        slots: how many are under way at a time.
    """
    rounding = NOISE * float(jnp.finfo(queue.start.dtype).eps)
    rules = Rules(queue.problems, limit, tolerance, rounding)
    loop = _Loop(
        fresh(jnp.arange(slots, dtype=jnp.int32), *queue.take(slice(slots))),
        jnp.asarray(slots, jnp.int32),
        _nothing(queue.start),
    )

    def turn(loop: _Loop) -> _Loop:
        now, ended = advance(model, queue.shared, loop.slots, rules)
        found = _write(loop.found, now, ended)
        is_over = ended.status >= 0
        slots, waiting = lax.cond(
            jnp.any(is_over),
            lambda: _refill(now, is_over, loop.waiting, queue),
            lambda: (now._replace(steps=now.steps + 1), loop.waiting),
        )
        return _Loop(slots, waiting, found)

    return lax.while_loop(
        lambda loop: jnp.any(loop.slots.problem < queue.problems), turn, loop
    ).found


def _write(found: Minima, now: Slots, ended: Ended) -> Minima:
    """Copy what has ended to its place in the queue."""
    nowhere = found.cost.shape[0]
    place = jnp.where(ended.status >= 0, now.problem, nowhere)
    values = Minima(now.v, now.at.cost, ended.decrement, ended.status, now.steps)

    def put(array: Array, value: Array) -> Array:
        return array.at[place].set(value.astype(array.dtype), mode="drop")

    return jax.tree.map(put, found, values)


def _refill(
    now: Slots, is_over: Bool[Array, " slots"], waiting: Int[Array, ""], queue: Queue
) -> tuple[Slots, Array]:
    """The next problems of the queue in the slots that are free, in order."""
    place = waiting + jnp.cumsum(is_over, dtype=jnp.int32) - 1
    source = jnp.where(is_over & (place < queue.problems), place, 0)
    taken = fresh(jnp.where(is_over, place, 0), *queue.take(source))

    def pick(new: Array, old: Array) -> Array:
        return jnp.where(is_over.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

    counted = now._replace(steps=now.steps + 1)
    return jax.tree.map(pick, taken, counted), waiting + jnp.sum(
        is_over, dtype=jnp.int32
    )


def _nothing(start: Array) -> Minima:
    none = jnp.zeros(start.shape[:1], start.dtype)
    whole = jnp.zeros(start.shape[:1], jnp.int32)
    return Minima(jnp.zeros_like(start), none, none, whole, whole)
