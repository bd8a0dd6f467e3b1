"""The lowest point of a convex surface given as a function: JAX differentiates it.

A surface is a pure function `log_loss(theta, u, s)` of natural logarithms, convex in
u for every s. Each function here answers ONE problem; `jax.vmap` does the batch over
theta (draws) and s (points). Everything is float64: under `jax.vmap` or `jax.jit`
enter `jax.enable_x64(True)` first, or the arguments arrive as float32 and are refused.
Pass the same function object every time, because compiled programs are kept by it.
The arithmetic is that of `minimum`, which serves NumPy too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from surrogate.base.errors import DataError
from surrogate.base.namespaces import Numbers
from surrogate.base.shapes import Array, Float
from surrogate.families.taylor import Local
from surrogate.numerics.descent import (
    CERTIFIED_GAP,
    MAX_STEPS,
    Box,
    Search,
    advance,
    box_of,
    gap_bound,
    search,
)
from surrogate.numerics.half_plane import Cut
from surrogate.numerics.minimum import Minimum, lowest

__all__ = [
    "CERTIFIED_GAP",
    "MAX_STEPS",
    "Box",
    "Local",
    "LogLoss",
    "Minimum",
    "Place",
    "Search",
    "Traced",
    "advance",
    "argmin",
    "box_of",
    "checked",
    "checked_box",
    "expand",
    "float64",
    "gap_bound",
    "search",
]

LogLoss = Callable[[Any, Any, Any], Any]
"""`log_loss(theta, u [d], s [g]) -> scalar`: ln L at one point."""


class Place(NamedTuple):
    """Where a surface is searched.

    Attributes:
        s: what is given [ln].
        lo: lower bounds of u [ln], finite; lo == hi fixes a coordinate.
        hi: upper bounds of u [ln], finite, at least lo.
        cut: a half-plane that the box is cut by, for d = 2; they must meet.
    """

    s: Float[Numbers, " g"]
    lo: Float[Numbers, " d"]
    hi: Float[Numbers, " d"]
    cut: Cut | None = None


def argmin(
    log_loss: LogLoss, theta: Any, u0: Float[ArrayLike, " d"], place: Place
) -> Minimum:
    """Minimise a convex surface over a box, by Newton steps confined to the box.

    Each step goes towards the exact minimiser over the box of the local quadratic
    model, shortened until the value falls; near the end full steps are taken until
    rounding stops them. The certificate is, for g the gradient at u,
    `value - min <= sum_i max(g_i (u_i - lo_i), g_i (u_i - hi_i))`.

    Args:
        log_loss: the surface, convex in u.
        theta: its parameters, any pytree of float64.
        u0: where to start [ln]; moved into the box.
        place: s, box and half-plane.

    Returns:
        The minimum. Where the box's own lies beyond the cut it is on the cut's edge,
        and both minimisations count in its gap. A problem that cannot be solved (NaN
        in theta, lo > hi, not convex) ends with `Minimum.converged` False and disturbs
        no other of its batch.

    Raises:
        DataError: d is not 1 or 2, shapes differ, or an array is not float64.
    """
    with jax.enable_x64(True):
        u0, lo, hi = checked_box(u0=u0, lo=place.lo, hi=place.hi)
        theta, place = checked(theta, place._replace(lo=lo, hi=hi))
        return _argmin(log_loss, theta, u0, place)


def float64(name: str, array: ArrayLike) -> Array:
    """The array as it is, refused unless float64 (call it with x64 enabled)."""
    result = jnp.asarray(array)
    if result.dtype != jnp.float64:
        raise DataError(
            f"Expected `{name}` in float64, got {result.dtype}. Answers are computed "
            "in float64 only: pass float64 NumPy arrays, and enter "
            "`jax.enable_x64(True)` before `jax.vmap` or `jax.jit`."
        )
    return result


def checked(theta: Any, place: Place) -> tuple[Any, Place]:
    """Theta as JAX arrays, its real leaves refused unless float64; likewise s."""
    arrays = jax.tree.map(jnp.asarray, theta)
    for leaf in jax.tree.leaves(arrays):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            float64("theta", leaf)
    return arrays, place._replace(s=float64("s", place.s))


def checked_box(**vectors: ArrayLike) -> tuple[Array, ...]:
    """The named vectors of chosen coordinates in float64, of one length, 1 or 2."""
    arrays = [float64(name, vector) for name, vector in vectors.items()]
    if {array.shape for array in arrays} not in ({(1,)}, {(2,)}):
        got = ", ".join(
            f"{name} {array.shape}" for name, array in zip(vectors, arrays, strict=True)
        )
        raise DataError(
            "Expected 1 or 2 chosen coordinates, all of one shape, (1,) or (2,), got "
            f"{got}. These functions take one problem: use `jax.vmap` for many."
        )
    return tuple(arrays)


class Traced(NamedTuple):
    """The surface of one problem, differentiated by JAX.

    Attributes:
        log_loss: as of `argmin`.
        theta: likewise.
        s: likewise.
        d: how many coordinates u has.
    """

    log_loss: LogLoss
    theta: Any
    s: Array
    d: int

    def at(self, x: Array, y: Array) -> Local:
        """The expansion at a place, or at several."""
        local = expand(self.log_loss, self.theta, self.s, self.d)
        return jax.vmap(local)(x, y) if x.ndim else local(x, y)

    def spread(self) -> Traced:
        """Itself: it takes several places as well as one."""
        return self


def expand(log_loss: LogLoss, theta: Any, s: Array, d: int) -> Callable[..., Local]:
    """The surface of one problem as `local(x, y) -> Local`."""

    def value_and_gradient(u: Array) -> tuple[Array, Array]:
        return jax.value_and_grad(lambda v: log_loss(theta, v, s))(u)

    def local(x: Array, y: Array) -> Local:
        u = jnp.stack([x, y])[:d]
        (value, g), tangent = jax.linearize(value_and_gradient, u)
        rows = [tangent(unit)[1] for unit in np.eye(d)]
        if d == 1:
            zero = jnp.zeros_like(value)
            return Local(value, g[0], zero, rows[0][0], zero, zero)
        return Local(value, g[0], g[1], rows[0][0], rows[0][1], rows[1][1])

    return local


@partial(jax.jit, static_argnums=0)
def _argmin(log_loss: LogLoss, theta: Any, u0: Array, place: Place) -> Minimum:
    s, lo, hi, cut = place
    return lowest(Traced(log_loss, theta, s, u0.shape[0]), u0, lo, hi, cut)
