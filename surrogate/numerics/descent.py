"""Newton's steps confined to a box, on convex surfaces of two coordinates.

Arrays begin with the axes of the problems; in JAX there may be none, under `jax.vmap`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from surrogate.base.namespaces import Numbers, each, loop, namespace
from surrogate.base.shapes import Float
from surrogate.families.taylor import Local

_EPS = float(np.finfo(np.float64).eps)
CERTIFIED_GAP = 1e-10
"""Largest gap, in ln L, of an optimum that is called converged."""
MAX_STEPS = 100


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


def box_of(lo: Float[Numbers, "*problems d"], hi: Float[Numbers, "*problems d"]) -> Box:
    """Bounds as single coordinates; a missing second one is held at 0."""
    return Box(lo[..., 0], hi[..., 0], second(lo), second(hi))


def second(u: Float[Numbers, "*problems d"]) -> Float[Numbers, "*problems"]:
    """The second coordinate; 0 where there is one."""
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
