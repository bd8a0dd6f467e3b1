"""Slices, contour and area of a plateau, in both worlds: rays from a point inside.

Arrays begin with the axes of the problems; what cannot be computed is NaN.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from surrogate.base.namespaces import Numbers, namespace, stacked
from surrogate.base.shapes import Bool, Float
from surrogate.families.taylor import Frame, Framed, Surface
from surrogate.numerics.descent import box_of, search
from surrogate.numerics.half_plane import Cut
from surrogate.numerics.plateau_edges import Extents, Range, climb

_LN2 = float(np.log(2.0))


@cache
def _gauss() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of 16 points on [-1, 1]."""
    return np.polynomial.legendre.leggauss(16)


class Slice(NamedTuple):
    """One coordinate's interval within the plateau, the other one being given.

    Attributes:
        edges: (low, high), natural logs; NaN where nothing is inside.
        is_open: this edge is a bound of the box.
    """

    edges: Float[Numbers, "*problems 2"]
    is_open: Bool[Numbers, "*problems 2"]


class Contour(NamedTuple):
    """The boundary of the plateau, in order, first point not repeated.

    Attributes:
        u: natural logs.
        is_open: this point lies on the box and not on the level.
    """

    u: Float[Numbers, "*problems points 2"]
    is_open: Bool[Numbers, "*problems points"]


class Region(NamedTuple):
    """The plateau while it is traced: {u in [lo, hi] : ln L <= level}, and its cut.

    Attributes:
        surface: of every problem.
        lo: lower bounds [ln].
        hi: upper bounds [ln].
        level: the largest ln L inside.
        cut: a half-plane, if any.
    """

    surface: Surface
    lo: Float[Numbers, "*problems 2"]
    hi: Float[Numbers, "*problems 2"]
    level: Float[Numbers, "*problems"]
    cut: Cut | None


def slice_extents(region: Region, i: int | Numbers, at: Numbers) -> Slice:
    """Interval of coordinate `i` within the plateau, the other one held at `at` [ln].

    NaN where nothing is inside, as with `at` outside the box.
    """
    lo, hi, cut = region.lo, region.hi, region.cut
    xp = namespace(lo)
    is_along = xp.arange(2) == i

    def own(array: Numbers) -> Numbers:
        return xp.sum(xp.where(is_along, array, 0.0), axis=-1)

    held = xp.asarray(at)[..., None]
    line_lo, line_hi = xp.where(is_along, lo, held), xp.where(is_along, hi, held)
    is_outside = xp.any((line_lo < lo) | (line_hi > hi), axis=-1)
    if cut is not None:
        low, high = _shortened(cut, is_along, at)
        line_lo = xp.where(is_along, xp.maximum(lo, low[..., None]), line_lo)
        line_hi = xp.where(is_along, xp.minimum(hi, high[..., None]), line_hi)
        is_outside = is_outside | xp.any(line_lo > line_hi, axis=-1)
    middle = 0.5 * (line_lo + line_hi)
    box = box_of(line_lo, line_hi)
    lowest = search(region.surface.at, middle[..., 0], middle[..., 1], box)
    origin = stacked(middle, [lowest.x, lowest.y])
    level = xp.where(is_outside, xp.nan, region.level)
    signs = xp.asarray(np.array([-1.0, 1.0]))
    unit = xp.where(is_along, 1.0, 0.0)
    t, is_open = _rays(
        Region(region.surface, line_lo, line_hi, level, None),
        origin[..., None, :],
        signs[:, None] * unit[None],
    )
    bounds = xp.stack([own(line_lo), own(line_hi)], axis=-1)
    is_box = bounds == xp.stack(xp.broadcast_arrays(own(lo), own(hi)), axis=-1)
    edges = xp.where(is_open, bounds, own(origin)[..., None] + signs * t)
    return Slice(edges, is_open & is_box & (own(lo) < own(hi))[..., None])


def _shortened(cut: Cut, is_along: Numbers, at: Numbers) -> tuple[Numbers, Numbers]:
    """Bounds of a line along a coordinate, the other one at `at`, within the cut."""
    xp = namespace(is_along)
    slope = xp.sum(xp.where(is_along, cut.normal, 0.0), axis=-1)
    other = xp.sum(xp.where(is_along, 0.0, cut.normal), axis=-1)
    rest = cut.bound - other * at
    end = rest / xp.where(slope == 0, 1.0, slope)
    # Parallel to the edge, all of the line is inside or none.
    none = xp.where(rest < 0, -xp.inf, xp.inf)
    top = xp.where(slope > 0, end, xp.where(slope < 0, xp.inf, none))
    return xp.where(slope < 0, end, -xp.inf), top


def _rays(
    region: Region, origin: Numbers, direction: Numbers
) -> tuple[Numbers, Numbers]:
    """How far along rays from points inside the plateau goes on, and if to the box.

    Args:
        region: the plateau.
        origin: [..., rays, 2].
        direction: [..., rays, 2]; lengths are in units of it.

    Returns:
        Two arrays [..., rays].
    """
    xp = namespace(region.lo)
    origin, direction = xp.broadcast_arrays(origin, direction)
    ends = xp.where(direction > 0, region.hi[..., None, :], region.lo[..., None, :])
    is_moving = direction != 0
    room = (ends - origin) / xp.where(is_moving, direction, 1.0)
    reach = xp.min(xp.where(is_moving, room, xp.inf), axis=-1)
    if region.cut is not None:
        normal = xp.asarray(region.cut.normal)[..., None, :]
        bound = xp.asarray(region.cut.bound)[..., None]
        speed = xp.sum(normal * direction, axis=-1)
        left = bound - xp.sum(normal * origin, axis=-1)
        is_out = speed > 0
        left = xp.where(is_out, left / xp.where(is_out, speed, 1.0), xp.inf)
        reach = xp.minimum(reach, left)
    top = xp.where(xp.any(is_moving, axis=-1), xp.maximum(reach, 0.0), 0.0)
    zero = xp.zeros_like(top)
    still = (zero, zero)
    frame = Frame(
        (origin[..., 0], origin[..., 1]), (direction[..., 0], direction[..., 1]), still
    )
    level = region.level[..., None] + zero
    within = Range(zero, top, zero, zero, level)
    t, _, is_open = climb(Framed(region.surface.spread(), frame), zero, zero, within)
    return t, is_open


class _Round(NamedTuple):
    """The linear map from the unit circle to the ellipse of the support points.

    Attributes:
        centre: of the ellipse.
        half_x: its half-width.
        shear: y of the point where x is `half_x`.
        half_y: half-height of the ellipse at its centre.
    """

    centre: Numbers
    half_x: Numbers
    shear: Numbers
    half_y: Numbers

    def directions(self, angles: Numbers) -> Numbers:
        """From angles [..., rays] to [..., rays, 2]."""
        xp = namespace(angles)
        x, y = xp.cos(angles), xp.sin(angles)
        rise = self.shear[..., None] * x + self.half_y[..., None] * y
        return xp.stack([self.half_x[..., None] * x, rise], axis=-1)


def _round(found: Extents) -> _Round:
    """The ellipse that has the four support points, if there is one."""
    edges, other = found.edges, found.other
    xp = namespace(edges)
    centre = 0.25 * (xp.sum(edges, axis=-1) + xp.sum(other, axis=-1)[..., ::-1])
    half = 0.5 * (edges[..., 1] - edges[..., 0])
    across = 0.5 * (other[..., 1] - other[..., 0])
    tilt = 0.5 * xp.sum(across * half, axis=-1)
    x, y = half[..., 0], half[..., 1]
    most = (1.0 - 1e-12) * x * y
    tilt = xp.clip(tilt, -most, most)
    shear = xp.where(x > 0, tilt / xp.where(x > 0, x, 1.0), 0.0)
    rest = xp.sqrt(xp.maximum(y**2 - shear**2, 0.0))
    return _Round(centre, x, shear, rest)


def contour(region: Region, found: Extents, points: int) -> Contour:
    """The boundary, on rays whose directions are even once the plateau is made round.

    The rays start at the mean of the four support points: the minimum for an ellipse,
    and inside even where the minimum lies on a bound. The linear map that makes the
    ellipse of those points a circle spreads the rays over long thin plateaus too.
    """
    xp = namespace(region.lo)
    frame = _round(found)
    angles = xp.asarray(2.0 * np.pi / points * np.arange(points))
    directions = frame.directions(angles)
    origin = frame.centre[..., None, :]
    t, is_open = _rays(region, origin, directions)
    u = origin + t[..., None] * directions
    u = xp.clip(u, region.lo[..., None, :], region.hi[..., None, :])
    return Contour(u, is_open)


def area_octaves2(region: Region, found: Extents) -> Float[Numbers, "*problems"]:
    """Area of the plateau [octaves^2]: half the integral of r^2 over the angle.

    The boundary is smooth but where it meets the box, so the integral is taken by
    Gauss-Legendre between those angles. 0 where a coordinate is held (lo == hi).
    """
    xp = namespace(region.lo)
    frame = _round(found)
    starts = _kinks(region, found, frame)
    ends = xp.concatenate([starts[..., 1:], starts[..., :1] + 2.0 * np.pi], axis=-1)
    half = 0.5 * (ends - starts)
    nodes, weights = (xp.asarray(part)[(None,) * half.ndim] for part in _gauss())
    middle = (starts + half)[..., None]
    angles = middle + half[..., None] * nodes
    angles = angles.reshape(*half.shape[:-1], -1)
    t, _ = _rays(region, frame.centre[..., None, :], frame.directions(angles))
    weights = (half[..., None] * weights).reshape(t.shape)
    scale = frame.half_x * frame.half_y / _LN2**2
    whole = 0.5 * scale * xp.sum(weights * t**2, axis=-1)
    return xp.where(scale == 0, 0.0, whole)


def _kinks(region: Region, found: Extents, frame: _Round) -> Numbers:
    """Ten sorted angles that include each end of each segment shared with box and cut.

    The two places of an edge that is not open go to angles of no consequence.
    """
    xp = namespace(region.lo)
    i = np.repeat(np.arange(2), 4)
    k = np.tile(np.repeat(np.arange(2), 2), 2)
    is_x = (i == 0)[:, None] == np.array([[True, False]])
    edges, other = found.edges[..., i, k], found.other[..., i, k]
    lead = (None,) * (edges.ndim - 1)
    is_x = xp.asarray(is_x)[lead]
    on_edge = xp.where(is_x, edges[..., None], other[..., None])
    signs = xp.asarray(np.tile([-1.0, 1.0], 4))[:, None][lead]
    directions = xp.where(is_x, 0.0, signs)
    t, _ = _rays(region, on_edge, directions)
    centre = frame.centre[..., None, :]
    away = on_edge + t[..., None] * directions - centre
    # The cut's edge, where it has a share of the boundary.
    away = xp.concatenate([away, found.line - centre], axis=-2)
    x = away[..., 0] / frame.half_x[..., None]
    rise = away[..., 1] - frame.shear[..., None] * x
    angles = xp.arctan2(rise / frame.half_y[..., None], x)
    evenly = (np.arange(4)[:, None] + 4 * np.arange(2) + 0.5) * (np.pi / 4) - np.pi
    evenly = np.append(evenly.ravel(), [-0.5 * np.pi, 0.5 * np.pi])
    is_line = xp.isfinite(found.line[..., 0])
    is_shared = xp.concatenate([found.is_open[..., i, k], is_line], axis=-1)
    return xp.sort(xp.where(is_shared, angles, xp.asarray(evenly)[lead]), axis=-1)
