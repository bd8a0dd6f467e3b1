"""A half-plane of u: where training is stable enough, cut from the box of an answer.

A convex function over a convex set cut by a line has its extremes on the line wherever
the uncut ones lie beyond it: two questions along the line settle what the cut changes.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

# Rounding by which a point on the line may seem beyond it.
_SLACK = 1e-12


class Cut(NamedTuple):
    """{u : normal . u <= bound}, natural logs or any coordinates linear in them.

    Attributes:
        normal: not zero.
        bound: what the product may reach.
    """

    normal: Float[Array | np.ndarray, " 2"]
    bound: Float[Array | np.ndarray, ""]

    def holds(self, u: Float[Array, " 2"]) -> Bool[Array, ""]:
        """Whether u is in the half-plane."""
        slack = _SLACK * (1 + jnp.abs(self.bound))
        return jnp.sum(self.normal * u) <= self.bound + slack


class Line(NamedTuple):
    """The edge of a cut within a box: {origin + t along : low <= t <= high}.

    Attributes:
        origin: its point nearest to u = 0.
        along: unit vector.
        across: unit vector out of the half-plane.
        low: of t; above `high` where the line misses the box.
        high: of t.
    """

    origin: Float[Array, " 2"]
    along: Float[Array, " 2"]
    across: Float[Array, " 2"]
    low: Float[Array, ""]
    high: Float[Array, ""]

    def at(self, t: Array) -> Float[Array, " 2"]:
        """The point at t."""
        return self.origin + t * self.along


def line_of(cut: Cut, lo: Float[Array, " 2"], hi: Float[Array, " 2"]) -> Line:
    """The edge of a cut and its share of a box."""
    normal = jnp.asarray(cut.normal)
    length = jnp.sqrt(jnp.sum(normal**2))
    across = normal / length
    origin = across * (cut.bound / length)
    along = jnp.stack([-across[1], across[0]])
    is_level = along == 0
    step = jnp.where(is_level, 1.0, along)
    ends = jnp.stack([(lo - origin) / step, (hi - origin) / step])
    # A line parallel to two sides of the box lies between them or misses it.
    is_between = (lo <= origin) & (origin <= hi)
    wide = jnp.where(is_between, jnp.inf, -jnp.inf)
    low = jnp.max(jnp.where(is_level, -wide, jnp.min(ends, axis=0)))
    high = jnp.min(jnp.where(is_level, wide, jnp.max(ends, axis=0)))
    # In a box that is a segment the line meets a point, but for rounding.
    is_point = (low > high) & (low - high <= _SLACK * (1 + jnp.abs(low)))
    middle = 0.5 * (low + high)
    low, high = (jnp.where(is_point, middle, end) for end in (low, high))
    return Line(origin, along, across, low, high)
