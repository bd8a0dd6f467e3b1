"""A half-plane of u: where training is stable enough, cut from the box of an answer.

A convex function over a convex set cut by a line has its extremes on the line wherever
the uncut ones lie beyond it: two questions along the line settle what the cut changes.
"""

from __future__ import annotations

from typing import NamedTuple

from surrogate.base.namespaces import Numbers, namespace, stacked
from surrogate.base.shapes import Bool, Float

# Rounding by which a point on the line may seem beyond it.
_SLACK = 1e-12


class Cut(NamedTuple):
    """{u : normal . u <= bound}, natural logs or any coordinates linear in them.

    Attributes:
        normal: not zero.
        bound: what the product may reach.
    """

    normal: Float[Numbers, "*problems 2"]
    bound: Float[Numbers, "*problems"]

    def holds(self, u: Float[Numbers, "*more 2"]) -> Bool[Numbers, "*more"]:
        """Whether u is in the half-plane."""
        xp = namespace(u)
        slack = _SLACK * (1 + xp.abs(self.bound))
        across = self.normal[..., 0] * u[..., 0] + self.normal[..., 1] * u[..., 1]
        return across <= self.bound + slack


class Line(NamedTuple):
    """The edge of a cut within a box: {origin + t along : low <= t <= high}.

    Attributes:
        origin: its point nearest to u = 0.
        along: unit vector.
        across: unit vector out of the half-plane.
        low: of t; above `high` where the line misses the box.
        high: of t.
    """

    origin: Float[Numbers, "*problems 2"]
    along: Float[Numbers, "*problems 2"]
    across: Float[Numbers, "*problems 2"]
    low: Float[Numbers, "*problems"]
    high: Float[Numbers, "*problems"]

    def at(self, t: Numbers) -> Float[Numbers, "*problems 2"]:
        """The point at t."""
        return self.origin + t[..., None] * self.along


def line_of(
    cut: Cut, lo: Float[Numbers, "*more 2"], hi: Float[Numbers, "*more 2"]
) -> Line:
    """The edge of a cut and its share of a box."""
    xp = namespace(lo)
    normal, bound = xp.asarray(cut.normal), xp.asarray(cut.bound)
    length = xp.sqrt(xp.sum(normal**2, axis=-1))
    across = normal / length[..., None]
    origin = across * (bound / length)[..., None]
    along = stacked(normal, [-across[..., 1], across[..., 0]])
    is_level = along == 0
    step = xp.where(is_level, 1.0, along)
    first, second = (lo - origin) / step, (hi - origin) / step
    # A line parallel to two sides of the box lies between them or misses it.
    is_between = (lo <= origin) & (origin <= hi)
    wide = xp.where(is_between, xp.inf, -xp.inf)
    low = xp.max(xp.where(is_level, -wide, xp.minimum(first, second)), axis=-1)
    high = xp.min(xp.where(is_level, wide, xp.maximum(first, second)), axis=-1)
    # In a box that is a segment the line meets a point, but for rounding.
    is_point = (low > high) & (low - high <= _SLACK * (1 + xp.abs(low)))
    middle = 0.5 * (low + high)
    low, high = (xp.where(is_point, middle, end) for end in (low, high))
    return Line(origin, along, across, low, high)
