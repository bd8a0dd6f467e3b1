"""The smallest box around a plateau, in both worlds: a climb each way of each edge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.namespaces import Numbers, namespace, stacked
from surrogate.families.taylor import Frame, Framed, Surface
from surrogate.numerics.descent import box_of
from surrogate.numerics.half_plane import Cut, line_of
from surrogate.numerics.minimum import Minimum
from surrogate.numerics.plateau_edges import Extents, Range, climb


class _Way(NamedTuple):
    """One climb: from (t, w) on, u = origin + t along + w across, up to t = top."""

    origin: tuple[Numbers, Numbers]
    along: tuple[Numbers, Numbers]
    across: tuple[Numbers, Numbers]
    t: Numbers
    w: Numbers
    top: Numbers
    w_lo: Numbers
    w_hi: Numbers


def extents(
    surface: Surface,
    minimum: Minimum,
    lo: Numbers,
    hi: Numbers,
    level: Numbers,
    cut: Cut | None = None,
) -> Extents:
    """Support points of the plateau along each coordinate.

    Each edge is the root of phi = level beyond the minimum, or the bound of the box
    where that is inside.

    Args:
        surface: of every problem.
        minimum: its lowest point over the same box.
        lo: lower bounds of the box [ln], [..., d].
        hi: upper bounds of the box [ln], [..., d].
        level: the largest ln L inside.
        cut: a half-plane that the plateau is cut by, the one of `minimum`.
    """
    d = lo.shape[-1]
    ways = [_outward(minimum, lo, hi, i, sign) for i in range(d) for sign in (-1, 1)]
    if cut is not None:
        ways += [_along(cut, minimum, lo, hi, sign) for sign in (-1, 1)]
    x, y, is_open = _climbed(surface, ways, level)
    count = 2 * d
    found = _free(x[..., :count], y[..., :count], is_open[..., :count], lo, hi)
    if cut is None:
        return found
    xp = namespace(x)
    line = xp.stack([x[..., count:], y[..., count:]], axis=-1)
    return _cut_by(cut, found, line, is_open[..., count:], lo, hi)


def _climbed(
    surface: Surface, ways: list[_Way], level: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Where each way ends, one more axis: x, y, and whether at its top."""
    # As many axes as the problems have, and one of ways.
    like = level + 0.0 * ways[0].t

    def side_by_side(parts: tuple) -> Numbers:
        return stacked(like, [part + 0.0 * like for part in parts])

    origin, along, across = (
        tuple(
            side_by_side(part) for part in zip(*(way[k] for way in ways), strict=True)
        )
        for k in range(3)
    )
    t, w, top, w_lo, w_hi = (
        side_by_side(tuple(way[k] for way in ways)) for k in range(3, 8)
    )
    frame = Frame(origin, along, across)  # type: ignore[arg-type]
    within = Range(t, top, w_lo, w_hi, like[..., None])
    end_t, end_w, is_open = climb(Framed(surface.spread(), frame), t, w, within)
    return *frame.place(end_t, end_w), is_open


def _outward(minimum: Minimum, lo: Numbers, hi: Numbers, i: int, sign: int) -> _Way:
    """From the minimum along coordinate i, the other one free."""
    box = box_of(lo, hi)
    lows, highs = (box.x_lo, box.y_lo), (box.x_hi, box.y_hi)
    x = minimum.u[..., 0]
    y = minimum.u[..., 1] if lo.shape[-1] == 2 else 0.0 * x
    u = (x, y)
    unit = np.eye(2)
    return _Way(
        (0.0, 0.0),
        tuple(sign * unit[i]),
        tuple(unit[1 - i]),
        sign * u[i],
        u[1 - i],
        highs[i] if sign > 0 else -lows[i],
        lows[1 - i],
        highs[1 - i],
    )


def _along(cut: Cut, minimum: Minimum, lo: Numbers, hi: Numbers, sign: int) -> _Way:
    """From the lowest point on the edge of the cut along it."""
    line = line_of(cut, lo, hi)
    origin, along, across = (
        (part[..., 0], part[..., 1]) for part in (line.origin, line.along, line.across)
    )
    return _Way(
        origin,
        (sign * along[0], sign * along[1]),
        across,
        sign * minimum.on_line,
        0.0,
        line.high if sign > 0 else -line.low,
        0.0,
        0.0,
    )


def _free(
    x: Numbers, y: Numbers, is_open: Numbers, lo: Numbers, hi: Numbers
) -> Extents:
    """Without a cut, from two ways for each coordinate."""
    xp = namespace(x)
    shape = (*x.shape[:-1], lo.shape[-1], 2)
    is_x = (np.arange(2 * lo.shape[-1]) < 2)[(None,) * (x.ndim - 1)]
    both = xp.where(is_x, x, y), xp.where(is_x, y, x)
    edges, other = (part.reshape(shape) for part in both)
    is_wide = (lo < hi)[..., None]
    return Extents(
        edges=edges,
        is_open=is_open.reshape(shape) & is_wide,
        other=other,
        is_cut=xp.zeros(shape, bool),
        line=xp.full((*x.shape[:-1], 2, 2), xp.nan),
    )


def _cut_by(
    cut: Cut,
    found: Extents,
    line: Numbers,
    line_open: Numbers,
    lo: Numbers,
    hi: Numbers,
) -> Extents:
    """Edges beyond the cut are where the plateau's share of its edge is farthest.

    Args:
        cut: what cuts.
        found: the extents without it.
        line: ends of the plateau's share of the edge, [..., ends, 2].
        line_open: whether each lies on the box.
        lo: lower bounds of the box.
        hi: upper bounds of the box.
    """
    xp = namespace(line)
    more = (..., None, None)
    # An axis for coordinates and one for sides, behind those of the problems.
    at = Cut(cut.normal[..., None, None, :], cut.bound[..., None, None])
    x = xp.stack([found.edges[..., 0, :], found.other[..., 1, :]], axis=-2)
    y = xp.stack([found.other[..., 0, :], found.edges[..., 1, :]], axis=-2)
    is_cut = ~at.holds(xp.stack([x, y], axis=-1))
    # Of the two ends the one that lies farther out: [..., coordinate, side].
    ends = line[..., 0, :], line[..., 1, :]
    is_second = xp.stack([ends[1] < ends[0], ends[1] > ends[0]], axis=-1)
    first, second = line[..., 0, :, None], line[..., 1, :, None]
    edge = xp.where(is_second, second, first)
    across = xp.where(is_second, second[..., ::-1, :], first[..., ::-1, :])
    is_open = xp.where(is_second, line_open[..., 1][more], line_open[..., 0][more])
    bounds = xp.stack(xp.broadcast_arrays(lo, hi), axis=-1)
    edge = xp.clip(edge, lo[..., None], hi[..., None])
    is_box = xp.abs(edge - bounds) <= 1e-12 * (1 + xp.abs(bounds))
    is_wide = (lo < hi)[..., None]
    return Extents(
        edges=xp.where(is_cut, edge, found.edges),
        is_open=xp.where(is_cut, is_open & is_box & is_wide, found.is_open),
        other=xp.where(is_cut, across, found.other),
        is_cut=is_cut,
        line=line,
    )
