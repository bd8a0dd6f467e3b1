"""How far a plateau {u in the box : ln L(u) <= level} reaches, in both worlds.

The surface is convex in u, so the plateau is a convex set, and each of its edges is
the root of a convex function of one variable, phi(t) = min over w of ln L at (t, w).
Arrays begin with the axes of the problems; what cannot be computed is NaN.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from surrogate.base.namespaces import Numbers, loop, namespace
from surrogate.base.shapes import Bool, Float
from surrogate.families.taylor import Local, Surface

_PATIENCE = 12
"""Steps that are free to be fast; later ones must close in on the edge in turn."""
_MAX_STEPS = 200


class Extents(NamedTuple):
    """The smallest box around the plateau.

    Attributes:
        edges: (low, high) of each coordinate, natural logs; NaN where not computed.
        is_open: this edge is a bound of the box, beyond which the plateau may go on.
            False for a coordinate with lo == hi, which was held on purpose.
        other: the other coordinate where that edge is reached; 0 for d = 1.
        is_cut: this edge is on that of the cut.
        line: where the edge of the cut enters and leaves; NaN where it does not.
    """

    edges: Float[Numbers, "*problems d 2"]
    is_open: Bool[Numbers, "*problems d 2"]
    other: Float[Numbers, "*problems d 2"]
    is_cut: Bool[Numbers, "*problems d 2"]
    line: Float[Numbers, "*problems 2 2"]


class Range(NamedTuple):
    """Where a climb may go: t up to `top`, w between bounds, ln L up to `level`."""

    start: Numbers
    top: Numbers
    w_lo: Numbers
    w_hi: Numbers
    level: Numbers


class _Climb(NamedTuple):
    """Edges under way: the next trial (t, w), and the edge is in [low, high].

    Attributes:
        t: of the trial.
        w: of the trial.
        low: proven inside.
        w_of_low: the w that goes with it.
        high: proven outside where `is_shut`, else the bound of the box.
        is_shut: `high` is proven outside.
        width: of [low, high] when a trial was last proven inside or outside.
        w_low: the w of phi(t) lies above.
        w_high: and below.
        steps: so far.
        is_open: the edge is the bound of the box.
        is_lost: nothing was found.
        is_done: it has ended.
    """

    t: Numbers
    w: Numbers
    low: Numbers
    w_of_low: Numbers
    high: Numbers
    is_shut: Numbers
    width: Numbers
    w_low: Numbers
    w_high: Numbers
    steps: Numbers
    is_open: Numbers
    is_lost: Numbers
    is_done: Numbers


class _Aim(NamedTuple):
    """Where the quadratic model of the trial has the edge.

    Attributes:
        t: of it.
        dt: from the trial.
        dw: from the trial.
        curvature: of the surface in w.
    """

    t: Numbers
    dt: Numbers
    dw: Numbers
    curvature: Numbers


class _Verdict(NamedTuple):
    """What a trial says.

    Attributes:
        is_in: phi(t) is at most the level.
        is_out: phi(t) is above it, whatever the w.
        is_near: the model's edge is the edge, but for rounding.
        is_narrow: so is anything between `low` and `high`.
        is_full: the plateau reaches the bound of the box.
        is_lost: the surface is not finite, or the start is not inside.
    """

    is_in: Numbers
    is_out: Numbers
    is_near: Numbers
    is_narrow: Numbers
    is_full: Numbers
    is_lost: Numbers


def climb(
    surface: Surface, t: Numbers, w: Numbers, within: Range
) -> tuple[Numbers, Numbers, Numbers]:
    """Largest t <= top with min over w in [w_lo, w_hi] of the surface at most `level`.

    Climbs from (t, w), a point inside.

    Returns:
        t, the w that goes with it, and whether t is `top`; NaN and False where the
        start is not inside or the search failed.
    """
    xp = namespace(t)
    t, w = xp.broadcast_arrays(t, w)
    no = xp.zeros_like(t, bool)
    count = xp.zeros_like(t, np.int32)
    top, low, high = (part + 0.0 * t for part in (within.top, within.w_lo, within.w_hi))
    end = loop(
        lambda now: ~now.is_done & (now.steps < _MAX_STEPS),
        partial(_step, surface, within),
        _Climb(t, w, t, w, top, no, top - t, low, high, count, no, no, no),
    )
    is_found = end.is_done & ~end.is_lost
    return (
        xp.where(is_found, end.t, xp.nan),
        xp.where(is_found, end.w, xp.nan),
        is_found & end.is_open,
    )


def _step(surface: Surface, within: Range, now: _Climb) -> _Climb:
    """Evaluate the trial, and either finish or choose the next one."""
    xp = namespace(now.t)
    at = surface.at(now.t, now.w)
    # The slope in w tells on which side of the trial the lowest w lies.
    w_low = xp.where(at.gy <= 0, now.w, now.w_low)
    w_high = xp.where(at.gy >= 0, now.w, now.w_high)
    gap = xp.maximum(at.gy * (now.w - w_low), at.gy * (now.w - w_high))
    aim = _aim(at, now, within)
    is_in = at.value <= within.level
    is_out = at.value - gap > within.level
    held = now._replace(
        low=xp.where(is_in, now.t, now.low),
        w_of_low=xp.where(is_in, now.w, now.w_of_low),
        high=xp.where(is_out, now.t, now.high),
        is_shut=now.is_shut | is_out,
        w_low=w_low,
        w_high=w_high,
    )
    verdict = _judged(at, held, aim, is_in, is_out, within)
    return _moved(at, held, aim, verdict, within)


def _root(q0: Numbers, q1: Numbers, q2: Numbers) -> Numbers:
    """Upper root of q0 + q1 z + q2 z^2 / 2, or Newton's where there is none; or NaN."""
    xp = namespace(q0)
    square = q1**2 - 2.0 * q0 * q2
    length = xp.sqrt(xp.where(square > 0, square, 0.0))
    rising = -2.0 * q0 / (q1 + length)
    root = xp.where(q1 >= 0, rising, (length - q1) / q2)
    newton = xp.where(q1 > 0, -q0 / q1, xp.nan)
    return xp.where(square >= 0, root, newton)


def _aim(at: Local, now: _Climb, within: Range) -> _Aim:
    """Step (dt, dw) to the edge of the quadratic model of phi, and the curvature in w.

    phi is the model minimised over w in its bounds, so the step is exact on a
    quadratic surface, from the minimum too, and converges cubically elsewhere.
    """
    xp = namespace(now.t)
    w, w_lo, w_hi = now.w, within.w_lo, within.w_hi
    excess = at.value - within.level
    is_free = w_lo < w_hi
    # Where the surface is affine its second derivatives are rounding, of either sign.
    least = 1e-12 * xp.maximum(at.hxx, 0.0) + 1e-30
    curvature = xp.where(is_free, xp.maximum(at.hyy, least), 1.0)
    share = xp.where(is_free, 1.0 / curvature, 0.0)
    dt = _root(
        excess - 0.5 * at.gy**2 * share,
        at.gx - at.gy * at.hxy * share,
        at.hxx - at.hxy**2 * share,
    )
    dw = -(at.gy + at.hxy * dt) * share
    is_held = ~((w_lo <= w + dw) & (w + dw <= w_hi))
    aim = w + xp.where(xp.isnan(dw), -at.gy * share, dw)
    held = xp.clip(aim, w_lo, w_hi) - w
    dt_held = _root(
        excess + at.gy * held + 0.5 * at.hyy * held**2, at.gx + at.hxy * held, at.hxx
    )
    dt = xp.where(is_held, dt_held, dt)
    return _Aim(now.t + dt, dt, xp.where(is_held, held, dw), curvature)


def _judged(
    at: Local,
    now: _Climb,
    aim: _Aim,
    is_in: Numbers,
    is_out: Numbers,
    within: Range,
) -> _Verdict:
    """Whether the trial ends the climb."""
    xp = namespace(now.t)
    far = xp.abs(aim.t - within.start)
    rise = xp.abs(at.gx) * far
    bend = aim.curvature * aim.dw**2 + xp.abs(at.gy * aim.dw)
    is_near = (xp.abs(aim.dt) <= 1e-6 * far) & (bend <= 1e-10 * rise)
    is_thin = now.high - now.low <= 1e-14 * (1.0 + xp.abs(now.high))
    return _Verdict(
        is_in,
        is_out,
        is_near,
        now.is_shut & is_thin,
        is_in & ~now.is_shut & (now.t >= now.high),
        ~xp.isfinite(at.value) | (~is_in & (now.steps == 0)),
    )


def _moved(
    at: Local, now: _Climb, aim: _Aim, verdict: _Verdict, within: Range
) -> _Climb:
    """The end of the climb where it is one, else the next trial."""
    xp = namespace(now.t)
    is_known = verdict.is_in | verdict.is_out
    next_t = _next_t(now, aim, is_known)
    next_w = _next_w(at, now, aim, next_t, within)
    # Proven ends are exact; elsewhere the model's edge is the better one.
    is_proven = verdict.is_full | verdict.is_narrow
    end_t = xp.where(is_proven, now.low, xp.clip(aim.t, within.start, now.high))
    aim_w = xp.clip(now.w + aim.dw, within.w_lo, within.w_hi)
    end_w = xp.where(is_proven, now.w_of_low, aim_w)
    is_done = verdict.is_near | is_proven | verdict.is_lost
    is_same = next_t == now.t
    return now._replace(
        t=xp.where(is_done, end_t, next_t),
        w=xp.where(is_done, end_w, next_w),
        width=xp.where(is_known, now.high - now.low, now.width),
        w_low=xp.where(is_same, now.w_low, within.w_lo),
        w_high=xp.where(is_same, now.w_high, within.w_hi),
        steps=now.steps + 1,
        is_lost=verdict.is_lost,
        is_open=verdict.is_full
        | (verdict.is_near & ~now.is_shut & (aim.t >= now.high)),
        is_done=is_done,
    )


def _next_t(now: _Climb, aim: _Aim, is_known: Numbers) -> Numbers:
    """The model's edge within the bracket, else its middle or the bound of the box.

    After some steps the bracket must halve, and no t is left before it is proven.
    """
    xp = namespace(now.t)
    middle = 0.5 * (now.low + now.high)
    is_between = (now.low < aim.t) & (aim.t < now.high)
    is_beyond = ~now.is_shut & (aim.t >= now.high)
    fast = xp.where(is_between, aim.t, xp.where(is_beyond, now.high, middle))
    is_slow = now.high - now.low > 0.5 * now.width
    slow = xp.where(is_known, xp.where(is_slow, middle, fast), now.t)
    return xp.where(now.steps < _PATIENCE, fast, slow)


def _next_w(
    at: Local, now: _Climb, aim: _Aim, next_t: Numbers, within: Range
) -> Numbers:
    """The lowest w of the model at the next t; the middle where that is no progress."""
    xp = namespace(now.t)
    slope = at.gy + at.hxy * (next_t - now.t)
    next_w = xp.clip(now.w - slope / aim.curvature, within.w_lo, within.w_hi)
    is_even = (now.steps >= _PATIENCE) & (now.steps % 2 == 0)
    is_wild = ~((now.w_low < next_w) & (next_w < now.w_high)) | is_even
    middle = 0.5 * (now.w_low + now.w_high)
    next_w = xp.where((next_t == now.t) & is_wild, middle, next_w)
    return xp.where(within.w_lo < within.w_hi, next_w, within.w_lo)
