"""The lowest point of convex surfaces over a box, with its certificate, in both worlds.

Arrays begin with the axes of the problems; in JAX there may be none, under `jax.vmap`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from surrogate.cut import Cut, line_of
from surrogate.taylor import Frame, Framed, Local, Surface
from surrogate.worlds import Numbers, each, loop, namespace, stacked

_EPS = float(np.finfo(np.float64).eps)
CERTIFIED_GAP = 1e-10
"""Largest gap, in ln L, of an optimum that is called converged."""
MAX_STEPS = 100


class Minimum(NamedTuple):
    """The lowest point of a surface over a box, and how sure that is.

    Attributes:
        u: where it is, natural logs.
        value: ln L there.
        gradient: of ln L there.
        hessian: of ln L there.
        eigenvalues: of the Hessian, ascending.
        gap: no point of the box has ln L below `value - gap`.
        gradient_norm: of the projected gradient: a component that pushes against a
            bound counts as zero.
        at_bound: u lies on a bound; False where lo == hi, since that was asked for.
        converged: `gap` is at most 1e-10. False for a surface that is NaN at u.
        is_cut: u lies on the edge of the cut, beyond which the surface is lower.
        on_line: t of the lowest point on that edge; NaN without a cut.
    """

    u: Float[Numbers, "*problems d"]
    value: Float[Numbers, "*problems"]
    gradient: Float[Numbers, "*problems d"]
    hessian: Float[Numbers, "*problems d d"]
    eigenvalues: Float[Numbers, "*problems d"]
    gap: Float[Numbers, "*problems"]
    gradient_norm: Float[Numbers, "*problems"]
    at_bound: Bool[Numbers, "*problems d"]
    converged: Bool[Numbers, "*problems"]
    is_cut: Bool[Numbers, "*problems"]
    on_line: Float[Numbers, "*problems"]


class Box(NamedTuple):
    """Bounds of the two coordinates; the second is [0, 0] for d = 1."""

    x_lo: Numbers
    x_hi: Numbers
    y_lo: Numbers
    y_hi: Numbers


class Search(NamedTuple):
    """Problems under way: the best point, and the share of the next step to try."""

    x: Numbers
    y: Numbers
    at: Local
    share: Numbers
    gap: Numbers
    steps: Numbers
    is_done: Numbers


def lowest(
    surface: Surface,
    start: Float[Numbers, "*problems d"],
    lo: Float[Numbers, "*more d"],
    hi: Float[Numbers, "*more d"],
    cut: Cut | None = None,
) -> Minimum:
    """Minimise over a box and within a cut that meets it.

    Args:
        surface: of every problem.
        start: where to begin [ln]; moved into the box.
        lo: lower bounds [ln], finite; lo == hi fixes a coordinate.
        hi: upper bounds [ln], finite, at least lo.
        cut: a half-plane, for d = 2.
    """
    if cut is not None:
        return _lowest_cut(surface, start, lo, hi, cut)
    box = box_of(lo, hi)
    found = search(surface.at, start[..., 0], _second(start), box)
    return _minimum(found, lo, hi)


def box_of(lo: Float[Numbers, "*problems d"], hi: Float[Numbers, "*problems d"]) -> Box:
    """Bounds as single coordinates; a missing second one is held at 0."""
    return Box(lo[..., 0], hi[..., 0], _second(lo), _second(hi))


def _second(u: Float[Numbers, "*problems d"]) -> Float[Numbers, "*problems"]:
    return u[..., 1] if u.shape[-1] == 2 else 0.0 * u[..., 0]


def search(
    local: Callable[[Numbers, Numbers], Local], x: Numbers, y: Numbers, box: Box
) -> Search:
    """Minimise `local` over the box from (x, y) until rounding stops it."""
    xp = namespace(x)
    x, y = xp.clip(x, box.x_lo, box.x_hi), xp.clip(y, box.y_lo, box.y_hi)
    zero = xp.zeros_like(x)
    # The first step has share 0: the surface is then traced and compiled only once.
    begin = Search(
        x=x,
        y=y,
        at=Local(zero, zero, zero, zero, zero, zero),
        share=zero,
        gap=xp.full_like(zero, xp.inf),
        steps=xp.zeros_like(zero, np.int32),
        is_done=xp.zeros_like(zero, bool),
    )
    return loop(
        lambda now: ~now.is_done & (now.steps < MAX_STEPS),
        partial(advance, local, box),
        begin,
    )


def advance(
    local: Callable[[Numbers, Numbers], Local], box: Box, now: Search
) -> Search:
    """Try one step towards the model's minimiser: take it, or shorten it."""
    xp = namespace(now.x)
    to_x, to_y = _target(now.at, now.x, now.y, box)
    move_x, move_y = to_x - now.x, to_y - now.y
    is_full = now.share == 1.0
    x = xp.where(is_full, to_x, now.x + now.share * move_x)
    y = xp.where(is_full, to_y, now.y + now.share * move_y)
    at = local(x, y)
    gap = gap_bound(at, x, y, box)
    noise = _EPS * (1.0 + xp.abs(at.value))
    slope = now.at.gx * move_x + now.at.gy * move_y
    allowed = now.at.value + 1e-4 * now.share * slope + 8.0 * noise
    is_taken = (at.value <= allowed) | (now.steps == 0)
    # Rounding, not the model, now decides the gradient: keep the better point.
    is_stalled = is_taken & is_full & (now.gap <= CERTIFIED_GAP) & (gap > 0.5 * now.gap)
    is_taken = is_taken & ~(is_stalled & (gap > now.gap))
    tried = Search(x, y, at, xp.ones_like(now.share), gap, now.steps, now.is_done)
    left = now._replace(share=now.share * _shorter(at, move_x, move_y, slope))
    after = each(lambda new, old: xp.where(is_taken, new, old), tried, left)
    is_flat = is_taken & (after.gap <= 4.0 * noise)
    is_stuck = (after.share < 1e-12) | ~xp.isfinite(after.gap)
    return after._replace(steps=now.steps + 1, is_done=is_stalled | is_flat | is_stuck)


def _shorter(at: Local, move_x: Numbers, move_y: Numbers, slope: Numbers) -> Numbers:
    """By how much to shorten a step that did not lower the surface.

    Along the way the surface is convex too: aim at the zero of its slope.
    """
    xp = namespace(slope)
    end = at.gx * move_x + at.gy * move_y
    ratio = slope / xp.where(slope == end, 1.0, slope - end)
    return xp.where(xp.isfinite(ratio), xp.clip(ratio, 0.1, 0.5), 0.5)


def gap_bound(at: Local, x: Numbers, y: Numbers, box: Box) -> Numbers:
    """How far above the lowest value of the box a convex surface can be at (x, y)."""
    xp = namespace(x)
    gap_x = xp.maximum(at.gx * (x - box.x_lo), at.gx * (x - box.x_hi))
    gap_y = xp.maximum(at.gy * (y - box.y_lo), at.gy * (y - box.y_hi))
    return gap_x + gap_y


def _target(at: Local, x: Numbers, y: Numbers, box: Box) -> tuple[Numbers, Numbers]:
    """Exact minimiser over the box of the quadratic model at (x, y).

    Where the free minimiser is outside the box, the constrained one is on an edge,
    and on each edge the model is a parabola in one variable.
    """
    xp = namespace(x)
    trace = at.hxx + at.hyy
    is_weak = at.hxx * at.hyy - at.hxy**2 < 1e-12 * trace**2
    shift = xp.where(is_weak, 1e-12 * trace, 0.0)
    a, b, c = at.hxx + shift, at.hxy, at.hyy + shift
    det = a * c - b**2
    safe = xp.where(det > 0, det, 1.0)
    best_x = x + (b * at.gy - c * at.gx) / safe
    best_y = y + (b * at.gx - a * at.gy) / safe
    is_free = (
        (det > 0)
        & (box.x_lo <= best_x)
        & (best_x <= box.x_hi)
        & (box.y_lo <= best_y)
        & (best_y <= box.y_hi)
    )
    best = xp.where(is_free, -xp.inf, xp.inf)
    edges = []
    for edge_x in (box.x_lo, box.x_hi):
        g = at.gy + b * (edge_x - x)
        edges.append((edge_x, _line_target(g, c, y, box.y_lo, box.y_hi)))
    for edge_y in (box.y_lo, box.y_hi):
        g = at.gx + b * (edge_y - y)
        edges.append((_line_target(g, a, x, box.x_lo, box.x_hi), edge_y))
    for tx, ty in edges:
        p, q = tx - x, ty - y
        model = at.gx * p + at.gy * q + 0.5 * (a * p**2 + 2.0 * b * p * q + c * q**2)
        is_lower = model < best
        best = xp.where(is_lower, model, best)
        best_x = xp.where(is_lower, tx, best_x)
        best_y = xp.where(is_lower, ty, best_y)
    return best_x, best_y


def _line_target(
    g: Numbers, h: Numbers, z: Numbers, lo: Numbers, hi: Numbers
) -> Numbers:
    """Minimiser over [lo, hi] of g (t - z) + h (t - z)^2 / 2, h >= 0."""
    xp = namespace(g)
    curved = h > 0
    flat = xp.where(g > 0, lo, xp.where(g < 0, hi, xp.clip(z, lo, hi)))
    return xp.where(curved, xp.clip(z - g / xp.where(curved, h, 1.0), lo, hi), flat)


def _minimum(end: Search, lo: Numbers, hi: Numbers) -> Minimum:
    """What a search over one box found."""
    at, d = end.at, lo.shape[-1]
    xp = namespace(end.x)
    u = stacked(end.x, [end.x, end.y])[..., :d]
    gradient = stacked(end.x, [at.gx, at.gy])[..., :d]
    rows = [stacked(end.x, row) for row in ((at.hxx, at.hxy), (at.hxy, at.hyy))]
    mean, half = 0.5 * (at.hxx + at.hyy), 0.5 * (at.hxx - at.hyy)
    radius = xp.sqrt(half**2 + at.hxy**2)
    both = [mean - radius, mean + radius] if d == 2 else [at.hxx]
    is_low, is_high = u <= lo, u >= hi
    is_pushed = (is_low & (gradient > 0)) | (is_high & (gradient < 0)) | (lo == hi)
    gap = xp.where(xp.all(lo <= hi, axis=-1), end.gap, xp.nan)
    free = xp.where(is_pushed, 0.0, gradient)
    return Minimum(
        u=u,
        value=at.value,
        gradient=gradient,
        hessian=xp.stack(rows, axis=-2)[..., :d, :d],
        eigenvalues=stacked(end.x, both),
        gap=gap,
        gradient_norm=xp.sqrt(xp.sum(free**2, axis=-1)),
        at_bound=(is_low | is_high) & (lo < hi),
        converged=gap <= CERTIFIED_GAP,
        is_cut=xp.zeros_like(gap, bool),
        on_line=xp.full_like(gap, xp.nan),
    )


def _lowest_cut(
    surface: Surface, start: Numbers, lo: Numbers, hi: Numbers, cut: Cut
) -> Minimum:
    """Over the box, and along the edge of the cut: one search for both."""
    line = line_of(cut, lo, hi)
    like = start[..., 0]
    xp = namespace(like)
    middle, zero = 0.5 * (line.low + line.high), xp.zeros_like(like)

    def both(free: Numbers | float, held: Numbers | float) -> Numbers:
        return stacked(like, [zero + free, held])

    frame = Frame(
        *(
            (both(x, part[..., 0]), both(y, part[..., 1]))
            for (x, y), part in zip(
                ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),
                (line.origin, line.along, line.across),
                strict=True,
            )
        )
    )
    box = Box(
        both(lo[..., 0], line.low),
        both(hi[..., 0], line.high),
        both(lo[..., 1], zero),
        both(hi[..., 1], zero),
    )
    x, y = both(like, middle), both(start[..., 1], zero)
    ends = search(Framed(surface.spread(), frame).at, x, y, box)
    free = _minimum(each(lambda array: array[..., 0], ends), lo, hi)
    on_line = [stacked(like, [end, zero]) for end in (line.low, line.high)]
    held = _minimum(each(lambda array: array[..., 1], ends), *on_line)
    is_cut = ~cut.holds(free.u)
    on_edge = _on_edge(held, free, frame, lo, hi, line.at(held.u[..., 0]))

    def chosen(cut: Numbers, free: Numbers) -> Numbers:
        more = (None,) * (free.ndim - is_cut.ndim)
        return xp.where(is_cut[(..., *more)], cut, free)

    found = each(chosen, on_edge, free)
    return found._replace(is_cut=is_cut, on_line=held.u[..., 0])


def _on_edge(
    held: Minimum, free: Minimum, frame: Frame, lo: Numbers, hi: Numbers, u: Numbers
) -> Minimum:
    """The lowest point on the edge of the cut, in the coordinates of the box."""
    xp = namespace(u)
    along, across = (stacked(u, [part[..., 1] for part in unit]) for unit in frame[1:])
    turn = xp.stack([along, across], axis=-1)
    u = xp.clip(u, lo, hi)
    gap = held.gap + free.gap
    return held._replace(
        u=u,
        gradient=xp.einsum("...ij,...j->...i", turn, held.gradient),
        hessian=xp.einsum("...ij,...jk,...lk->...il", turn, held.hessian, turn),
        gap=gap,
        at_bound=((u <= lo) | (u >= hi)) & (lo < hi),
        converged=gap <= CERTIFIED_GAP,
    )
