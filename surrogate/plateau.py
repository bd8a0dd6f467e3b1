"""The plateau {u in the box : ln L(u, s) <= level}: extents, slices, contour, area.

The surface is convex in u, so the plateau is a convex set, and each of its edges is
the root of a convex function of one variable. As in `solve`, each function answers
ONE problem and `jax.vmap` does the batch: under `jax.lax.map`, in blocks of 1,000 to
4,000, the work stays in the cache. `level` is `minimum.value + ln(1 + tol)`. What
cannot be computed is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from surrogate.cut import Cut, line_of
from surrogate.errors import DataError
from surrogate.solve import (
    Local,
    LogLoss,
    Minimum,
    box_of,
    checked_box,
    checked_theta,
    expand,
    float64,
    search,
)

_PATIENCE = 12
"""Steps that are free to be fast; later ones must close in on the edge in turn."""
_MAX_STEPS = 200
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_LN2 = float(np.log(2.0))


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

    edges: Float[Array, "d 2"]
    is_open: Bool[Array, "d 2"]
    other: Float[Array, "d 2"]
    is_cut: Bool[Array, "d 2"]
    line: Float[Array, "2 2"]


class Slice(NamedTuple):
    """One coordinate's interval within the plateau, the other one being given.

    Attributes:
        edges: (low, high), natural logs; NaN where nothing is inside.
        is_open: this edge is a bound of the box.
    """

    edges: Float[Array, " 2"]
    is_open: Bool[Array, " 2"]


class Contour(NamedTuple):
    """The boundary of the plateau, in order, first point not repeated.

    Attributes:
        u: natural logs.
        is_open: this point lies on the box and not on the level.
    """

    u: Float[Array, "points 2"]
    is_open: Bool[Array, " points"]


def extents(
    log_loss: LogLoss,
    theta: Any,
    minimum: Minimum,
    s: Float[ArrayLike, " g"],
    lo: Float[ArrayLike, " d"],
    hi: Float[ArrayLike, " d"],
    level: Float[ArrayLike, ""],
    cut: Cut | None = None,
) -> Extents:
    """Support points of the plateau along each coordinate.

    With phi_i(t) = min over the other coordinate of ln L at u_i = t, each edge is the
    root of phi_i = level beyond the minimum, or the bound of the box where that is
    inside.

    Args:
        log_loss: the surface, convex in u.
        theta: its parameters, any pytree of float64.
        minimum: its lowest point over the same box.
        s: what is given [ln].
        lo: lower bounds of the box [ln].
        hi: upper bounds of the box [ln].
        level: the largest ln L inside.
        cut: a half-plane that the plateau is cut by, the one of `minimum`.

    Returns:
        The extents; NaN where the level lies below the minimum.

    Raises:
        DataError: d is not 1 or 2, shapes differ, or an array is not float64.
    """
    with jax.enable_x64(True):
        _, lo, hi = checked_box(u=minimum.u, lo=lo, hi=hi)
        theta, s = checked_theta(theta), float64("s", s)
        level = float64("level", level)
        return _extents(log_loss, theta, minimum, s, lo, hi, level, cut)


def slice_extents(
    log_loss: LogLoss,
    theta: Any,
    s: Float[ArrayLike, " g"],
    i: int | Array,
    at: Float[ArrayLike, ""],
    lo: Float[ArrayLike, " d"],
    hi: Float[ArrayLike, " d"],
    level: Float[ArrayLike, ""],
    cut: Cut | None = None,
) -> Slice:
    """Interval of coordinate `i` within the plateau, the other one held at `at` [ln].

    Returns:
        The interval; NaN where nothing is inside, as with `at` outside the box.

    Raises:
        DataError: d is not 2, or an array is not float64.
    """
    with jax.enable_x64(True):
        lo, hi = _checked_plane("slice", lo=lo, hi=hi)
        theta, s, at = checked_theta(theta), float64("s", s), float64("at", at)
        i, level = jnp.asarray(i), float64("level", level)
        return _slice(log_loss, theta, s, i, at, lo, hi, level, cut)


def contour(
    log_loss: LogLoss,
    theta: Any,
    found: Extents,
    s: Float[ArrayLike, " g"],
    lo: Float[ArrayLike, " d"],
    hi: Float[ArrayLike, " d"],
    level: Float[ArrayLike, ""],
    cut: Cut | None = None,
    *,
    points: int = 128,
) -> Contour:
    """The boundary, on rays whose directions are even once the plateau is made round.

    The rays start at the mean of the four support points: the minimum for an ellipse,
    and inside even where the minimum lies on a bound. The linear map that makes the
    ellipse of those points a circle spreads the rays over long thin plateaus too.

    Raises:
        DataError: d is not 2, `points` is under 3, or an array is not float64.
    """
    if points < 3:
        raise DataError(
            f"Expected at least 3 points for a contour, got points={points}. Fewer "
            "enclose no area: the default of 128 draws a smooth curve."
        )
    with jax.enable_x64(True):
        lo, hi = _checked_plane("contour", lo=lo, hi=hi)
        theta, s, level = checked_theta(theta), float64("s", s), float64("level", level)
        return _contour(log_loss, points, theta, found, s, lo, hi, level, cut)


def area_octaves2(
    log_loss: LogLoss,
    theta: Any,
    found: Extents,
    s: Float[ArrayLike, " g"],
    lo: Float[ArrayLike, " d"],
    hi: Float[ArrayLike, " d"],
    level: Float[ArrayLike, ""],
    cut: Cut | None = None,
) -> Float[Array, ""]:
    """Area of the plateau [octaves^2]: half the integral of r^2 over the angle.

    The boundary is smooth but where it meets the box, so the integral is taken by
    Gauss-Legendre between those angles. 0 where a coordinate is held (lo == hi).

    Raises:
        DataError: d is not 2, or an array is not float64.
    """
    with jax.enable_x64(True):
        lo, hi = _checked_plane("area", lo=lo, hi=hi)
        theta, s, level = checked_theta(theta), float64("s", s), float64("level", level)
        return _area(log_loss, theta, found, s, lo, hi, level, cut)


def _checked_plane(what: str, **vectors: ArrayLike) -> tuple[Array, ...]:
    arrays = checked_box(**vectors)
    if arrays[0].shape != (2,):
        raise DataError(
            f"Expected 2 chosen coordinates for a plateau's {what}, got 1. With one "
            "coordinate the plateau is an interval: ask for its extents."
        )
    return arrays


class _Climb(NamedTuple):
    """One edge under way: the next trial (t, w), and the edge is in [low, high]."""

    t: Array
    w: Array
    low: Array
    w_of_low: Array
    high: Array
    is_shut: Array
    """`high` is proven outside, and not just the bound of the box."""
    width: Array
    """of [low, high] when a trial was last proven inside or outside."""
    w_low: Array
    w_high: Array
    steps: Array
    is_open: Array
    is_lost: Array
    is_done: Array


def _root(q0: Array, q1: Array, q2: Array) -> Array:
    """Upper root of q0 + q1 z + q2 z^2 / 2, or Newton's where there is none; or NaN."""
    square = q1**2 - 2.0 * q0 * q2
    length = jnp.sqrt(jnp.where(square > 0, square, 0.0))
    rising = -2.0 * q0 / (q1 + length)
    root = jnp.where(q1 >= 0, rising, (length - q1) / q2)
    newton = jnp.where(q1 > 0, -q0 / q1, jnp.nan)
    return jnp.where(square >= 0, root, newton)


def _proposal(
    at: Local, w: Array, w_lo: Array, w_hi: Array, level: Array
) -> tuple[Array, Array, Array]:
    """Step (dt, dw) to the edge of the quadratic model of phi, and the curvature in w.

    phi is the model minimised over w in its bounds, so the step is exact on a
    quadratic surface, from the minimum too, and converges cubically elsewhere.
    """
    excess = at.value - level
    is_free = w_lo < w_hi
    # Where the surface is affine its second derivatives are rounding, of either sign.
    least = 1e-12 * jnp.maximum(at.hxx, 0.0) + 1e-30
    curvature = jnp.where(is_free, jnp.maximum(at.hyy, least), 1.0)
    share = jnp.where(is_free, 1.0 / curvature, 0.0)
    dt = _root(
        excess - 0.5 * at.gy**2 * share,
        at.gx - at.gy * at.hxy * share,
        at.hxx - at.hxy**2 * share,
    )
    dw = -(at.gy + at.hxy * dt) * share
    is_held = ~((w_lo <= w + dw) & (w + dw <= w_hi))
    aim = w + jnp.where(jnp.isnan(dw), -at.gy * share, dw)
    held = jnp.clip(aim, w_lo, w_hi) - w
    dt_held = _root(
        excess + at.gy * held + 0.5 * at.hyy * held**2, at.gx + at.hxy * held, at.hxx
    )
    return (
        jnp.where(is_held, dt_held, dt),
        jnp.where(is_held, held, dw),
        curvature,
    )


def _step(
    now: _Climb,
    *,
    local: Callable[[Array, Array], Local],
    start: Array,
    w_lo: Array,
    w_hi: Array,
    level: Array,
) -> _Climb:
    """Evaluate the trial, and either finish or choose the next one."""
    t, w = now.t, now.w
    at = local(t, w)
    w_low = jnp.where(at.gy <= 0, w, now.w_low)
    w_high = jnp.where(at.gy >= 0, w, now.w_high)
    gap = jnp.maximum(at.gy * (w - w_low), at.gy * (w - w_high))
    is_in = at.value <= level
    is_out = at.value - gap > level
    low, high = jnp.where(is_in, t, now.low), jnp.where(is_out, t, now.high)
    w_of_low = jnp.where(is_in, w, now.w_of_low)
    is_shut = now.is_shut | is_out

    dt, dw, curvature = _proposal(at, w, w_lo, w_hi, level)
    aim = t + dt
    rise = jnp.abs(at.gx * (aim - start))
    is_near = (jnp.abs(dt) <= 1e-6 * jnp.abs(aim - start)) & (
        curvature * dw**2 + jnp.abs(at.gy * dw) <= 1e-10 * rise
    )
    is_narrow = is_shut & (high - low <= 1e-14 * (1.0 + jnp.abs(high)))
    is_full = is_in & ~is_shut & (t >= high)
    is_lost = ~jnp.isfinite(at.value) | (~is_in & (now.steps == 0))
    is_done = is_near | is_narrow | is_full | is_lost

    middle = 0.5 * (low + high)
    is_between = (low < aim) & (aim < high)
    next_t = jnp.where(
        is_between, aim, jnp.where(~is_shut & (aim >= high), high, middle)
    )
    is_hasty = now.steps < _PATIENCE
    is_known = is_in | is_out
    is_slow = high - low > 0.5 * now.width
    slow_t = jnp.where(is_known, jnp.where(is_slow, middle, next_t), t)
    next_t = jnp.where(is_hasty, next_t, slow_t)
    is_same = next_t == t
    next_w = jnp.clip(w - (at.gy + at.hxy * (next_t - t)) / curvature, w_lo, w_hi)
    is_even = ~is_hasty & (now.steps % 2 == 0)
    is_wild = ~((w_low < next_w) & (next_w < w_high)) | is_even
    next_w = jnp.where(is_same & is_wild, 0.5 * (w_low + w_high), next_w)
    next_w = jnp.where(w_lo < w_hi, next_w, w_lo)

    end_t = jnp.where(is_full | is_narrow, low, jnp.clip(aim, start, high))
    end_w = jnp.where(is_full | is_narrow, w_of_low, jnp.clip(w + dw, w_lo, w_hi))
    return _Climb(
        t=jnp.where(is_done, end_t, next_t),
        w=jnp.where(is_done, end_w, next_w),
        low=low,
        w_of_low=w_of_low,
        high=high,
        is_shut=is_shut,
        width=jnp.where(is_known, high - low, now.width),
        w_low=jnp.where(is_same, w_low, w_lo),
        w_high=jnp.where(is_same, w_high, w_hi),
        steps=now.steps + 1,
        is_lost=is_lost,
        is_open=is_full | (is_near & ~is_shut & (aim >= high)),
        is_done=is_done,
    )


def _climb(
    local: Callable[[Array, Array], Local],
    t: Array,
    w: Array,
    top: Array,
    w_lo: Array,
    w_hi: Array,
    level: Array,
) -> tuple[Array, Array, Array]:
    """Largest t <= top with min over w in [w_lo, w_hi] of `local` at most `level`.

    Climbs from (t, w), a point inside.

    Returns:
        t, the w that goes with it, and whether t is `top`; NaN and False where the
        start is not inside or the search failed.
    """
    no = jnp.zeros((), bool)
    count = jnp.zeros((), jnp.int32)
    step = partial(_step, local=local, start=t, w_lo=w_lo, w_hi=w_hi, level=level)
    end = lax.while_loop(
        lambda now: ~now.is_done & (now.steps < _MAX_STEPS),
        step,
        _Climb(t, w, t, w, top, no, top - t, w_lo, w_hi, count, no, no, no),
    )
    is_found = end.is_done & ~end.is_lost
    return (
        jnp.where(is_found, end.t, jnp.nan),
        jnp.where(is_found, end.w, jnp.nan),
        is_found & end.is_open,
    )


class _Way(NamedTuple):
    """One climb: from (t, w) on, u = origin + t along + w across, up to t = top."""

    origin: Array
    along: Array
    across: Array
    t: Array
    w: Array
    top: Array
    w_lo: Array
    w_hi: Array


@partial(jax.jit, static_argnums=0)
def _extents(
    log_loss: LogLoss,
    theta: Any,
    minimum: Minimum,
    s: Array,
    lo: Array,
    hi: Array,
    level: Array,
    cut: Cut | None,
) -> Extents:
    d = lo.shape[0]
    box = box_of(lo, hi)
    lows, highs = jnp.stack([box.x_lo, box.y_lo]), jnp.stack([box.x_hi, box.y_hi])
    u = jnp.concatenate([minimum.u, jnp.zeros(2 - d)])
    ways = [_outward(u, lows, highs, i, sign) for i in range(d) for sign in (-1, 1)]
    if cut is not None:
        ways += [_along(cut, minimum, lo, hi, sign) for sign in (-1, 1)]

    def climb(way: _Way) -> tuple[Array, Array]:
        def framed(theta: Any, v: Array, s: Array) -> Array:
            place = way.origin + v[0] * way.along + v[1] * way.across
            return log_loss(theta, place[:d], s)

        local = expand(framed, theta, s, 2)
        t, w, is_open = _climb(local, way.t, way.w, way.top, way.w_lo, way.w_hi, level)
        return way.origin + t * way.along + w * way.across, is_open

    places, is_open = jax.vmap(climb)(
        jax.tree.map(lambda *parts: jnp.stack(parts), *ways)
    )
    axes, sides = np.repeat(np.arange(d), 2), np.tile([0, 1], d)
    count = 2 * d
    found = Extents(
        edges=places[np.arange(count), axes].reshape(d, 2),
        is_open=(is_open[:count] & (lo < hi)[axes]).reshape(d, 2),
        other=places[np.arange(count), 1 - axes].reshape(d, 2),
        is_cut=jnp.zeros((d, 2), bool),
        line=jnp.full((2, 2), jnp.nan),
    )
    if cut is None:
        return found
    line, line_open = places[count:], is_open[count:]
    is_cut = ~jax.vmap(cut.holds)(places[:count]).reshape(d, 2)
    far = [
        (jnp.argmax if side else jnp.argmin)(line[:, i])
        for i, side in zip(axes, sides, strict=True)
    ]
    ends = line[jnp.stack(far)]
    bounds = jnp.stack([lo, hi], axis=1)
    on_edge = jnp.clip(
        ends[np.arange(count), axes].reshape(d, 2), lo[:, None], hi[:, None]
    )
    is_box = line_open[jnp.stack(far)].reshape(d, 2) & (
        jnp.abs(on_edge - bounds) <= 1e-12 * (1 + jnp.abs(bounds))
    )
    across = ends[np.arange(count), 1 - axes].reshape(d, 2)
    return Extents(
        edges=jnp.where(is_cut, on_edge, found.edges),
        is_open=jnp.where(is_cut, is_box & (lo < hi)[:, None], found.is_open),
        other=jnp.where(is_cut, across, found.other),
        is_cut=is_cut,
        line=line,
    )


def _outward(u: Array, lows: Array, highs: Array, i: int, sign: int) -> _Way:
    """From the minimum along coordinate i, the other one free."""
    unit = np.eye(2)
    top = highs[i] if sign > 0 else -lows[i]
    return _Way(
        jnp.zeros(2),
        jnp.asarray(sign * unit[i]),
        jnp.asarray(unit[1 - i]),
        sign * u[i],
        u[1 - i],
        top,
        lows[1 - i],
        highs[1 - i],
    )


def _along(cut: Cut, minimum: Minimum, lo: Array, hi: Array, sign: int) -> _Way:
    """From the lowest point on the edge of the cut along it."""
    line = line_of(cut, lo, hi)
    top = line.high if sign > 0 else -line.low
    zero = jnp.zeros_like(top)
    return _Way(
        line.origin,
        sign * line.along,
        line.across,
        sign * minimum.on_line,
        zero,
        top,
        zero,
        zero,
    )


class _Region(NamedTuple):
    """One plateau while it is traced: {u in [lo, hi] : f(u) <= level}, and its cut."""

    f: Callable[[Array], Array]
    lo: Array
    hi: Array
    level: Array
    cut: Cut | None


def _ray(region: _Region, origin: Array, direction: Array) -> tuple[Array, Array]:
    """How far along a ray from a point inside the plateau goes on, and if to the box.

    The length is in units of `direction`.
    """

    def along(t: Array) -> Array:
        return region.f(origin + t * direction)

    def slope(t: Array) -> tuple[Array, Array]:
        return jax.jvp(along, (t,), (jnp.ones_like(t),))

    zero = jnp.zeros_like(region.level)

    def local(t: Array, _: Array) -> Local:
        (value, g), (_, h) = jax.jvp(slope, (t,), (jnp.ones_like(t),))
        return Local(value, g, zero, h, zero, zero)

    bound = jnp.where(direction > 0, region.hi, region.lo) - origin
    is_moving = direction != 0
    reach = jnp.min(jnp.where(is_moving, bound / direction, jnp.inf))
    if region.cut is not None:
        room = region.cut.bound - jnp.sum(region.cut.normal * origin)
        speed = jnp.sum(region.cut.normal * direction)
        reach = jnp.minimum(reach, jnp.where(speed > 0, room / speed, jnp.inf))
    top = jnp.where(jnp.any(is_moving), jnp.maximum(reach, 0.0), 0.0)
    t, _, is_open = _climb(local, zero, zero, top, zero, zero, region.level)
    return t, is_open


@partial(jax.jit, static_argnums=0)
def _slice(
    log_loss: LogLoss,
    theta: Any,
    s: Array,
    i: Array,
    at: Array,
    lo: Array,
    hi: Array,
    level: Array,
    cut: Cut | None,
) -> Slice:
    is_along = jnp.arange(2) == i
    line_lo, line_hi = jnp.where(is_along, lo, at), jnp.where(is_along, hi, at)
    is_outside = jnp.any((line_lo < lo) | (line_hi > hi))
    if cut is not None:
        line_lo, line_hi = _shortened(cut, i, at, line_lo, line_hi)
        is_outside |= jnp.any(line_lo > line_hi)
    middle = 0.5 * (line_lo + line_hi)
    local = expand(log_loss, theta, s, 2)
    lowest = search(local, middle[0], middle[1], box_of(line_lo, line_hi))
    origin = jnp.stack([lowest.x, lowest.y])
    level = jnp.where(is_outside, jnp.nan, level)
    region = _Region(lambda u: log_loss(theta, u, s), line_lo, line_hi, level, None)
    unit = is_along.astype(jnp.float64)

    def edge(sign: Array) -> tuple[Array, Array]:
        t, is_open = _ray(region, origin, sign * unit)
        bound = jnp.where(sign > 0, line_hi[i], line_lo[i])
        is_box = bound == jnp.where(sign > 0, hi[i], lo[i])
        return jnp.where(is_open, bound, origin[i] + sign * t), is_open & is_box

    edges, is_open = jax.vmap(edge)(jnp.array([-1.0, 1.0]))
    return Slice(edges, is_open & (lo[i] < hi[i]))


def _shortened(
    cut: Cut, i: Array, at: Array, lo: Array, hi: Array
) -> tuple[Array, Array]:
    """Bounds of a segment along coordinate i, the other one at `at`, within the cut."""
    is_along = jnp.arange(2) == i
    slope, rest = cut.normal[i], cut.bound - cut.normal[1 - i] * at
    end = rest / jnp.where(slope == 0, 1.0, slope)
    # Parallel to the edge, all of the segment is inside or none.
    none = jnp.where(rest < 0, -jnp.inf, jnp.inf)
    top = jnp.where(slope > 0, end, jnp.where(slope < 0, jnp.inf, none))
    low = jnp.where(slope < 0, end, -jnp.inf)
    return (
        jnp.where(is_along, jnp.maximum(lo, low), lo),
        jnp.where(is_along, jnp.minimum(hi, top), hi),
    )


class _Frame(NamedTuple):
    """The linear map from the unit circle to the ellipse of the support points."""

    centre: Array
    half_x: Array
    shear: Array
    half_y: Array


def _frame(found: Extents) -> _Frame:
    """The ellipse that has the four support points, if there is one."""
    centre = 0.25 * (jnp.sum(found.edges, axis=1) + jnp.sum(found.other, axis=1)[::-1])
    half = 0.5 * (found.edges[:, 1] - found.edges[:, 0])
    tilt = 0.5 * jnp.sum(0.5 * (found.other[:, 1] - found.other[:, 0]) * half)
    most = (1.0 - 1e-12) * half[0] * half[1]
    tilt = jnp.clip(tilt, -most, most)
    shear = jnp.where(half[0] > 0, tilt / jnp.where(half[0] > 0, half[0], 1.0), 0.0)
    rest = jnp.sqrt(jnp.maximum(half[1] ** 2 - shear**2, 0.0))
    return _Frame(centre, half[0], shear, rest)


def _directions(frame: _Frame, angles: Array) -> Array:
    x, y = jnp.cos(angles), jnp.sin(angles)
    return jnp.stack([frame.half_x * x, frame.shear * x + frame.half_y * y], axis=-1)


@partial(jax.jit, static_argnums=(0, 1))
def _contour(
    log_loss: LogLoss,
    points: int,
    theta: Any,
    found: Extents,
    s: Array,
    lo: Array,
    hi: Array,
    level: Array,
    cut: Cut | None,
) -> Contour:
    frame = _frame(found)
    directions = _directions(
        frame, jnp.asarray(2.0 * np.pi / points * np.arange(points))
    )
    region = _Region(lambda u: log_loss(theta, u, s), lo, hi, level, cut)
    t, is_open = jax.vmap(partial(_ray, region, frame.centre))(directions)
    u = frame.centre[None] + t[:, None] * directions
    return Contour(jnp.clip(u, lo[None], hi[None]), is_open)


def _kinks(region: _Region, found: Extents, frame: _Frame) -> Array:
    """Ten sorted angles that include each end of each segment shared with box and cut.

    The two places of an edge that is not open go to angles of no consequence.
    """
    i = jnp.repeat(jnp.arange(2), 4)
    k = jnp.tile(jnp.repeat(jnp.arange(2), 2), 2)
    is_x = (i == 0)[:, None] == jnp.array([[True, False]])
    on_edge = jnp.where(is_x, found.edges[i, k][:, None], found.other[i, k][:, None])
    signs = jnp.tile(jnp.array([-1.0, 1.0]), 4)
    directions = jnp.where(is_x, 0.0, signs[:, None])
    t, _ = jax.vmap(partial(_ray, region))(on_edge, directions)
    away = on_edge + t[:, None] * directions - frame.centre[None]
    # The cut's edge, where it has a share of the boundary.
    away = jnp.concatenate([away, found.line - frame.centre[None]])
    x = away[:, 0] / frame.half_x
    angles = jnp.arctan2((away[:, 1] - frame.shear * x) / frame.half_y, x)
    evenly = (np.arange(4)[:, None] + 4 * np.arange(2) + 0.5) * (np.pi / 4) - np.pi
    evenly = np.append(evenly.ravel(), [-0.5 * np.pi, 0.5 * np.pi])
    is_shared = jnp.append(found.is_open[i, k], jnp.isfinite(found.line[:, 0]))
    return jnp.sort(jnp.where(is_shared, angles, jnp.asarray(evenly)))


@partial(jax.jit, static_argnums=0)
def _area(
    log_loss: LogLoss,
    theta: Any,
    found: Extents,
    s: Array,
    lo: Array,
    hi: Array,
    level: Array,
    cut: Cut | None,
) -> Array:
    frame = _frame(found)
    region = _Region(lambda u: log_loss(theta, u, s), lo, hi, level, cut)
    starts = _kinks(region, found, frame)
    ends = jnp.concatenate([starts[1:], starts[:1] + 2.0 * np.pi])
    half = 0.5 * (ends - starts)
    angles = (starts + half)[:, None] + half[:, None] * jnp.asarray(_NODES)[None]
    directions = _directions(frame, angles.ravel())
    t, _ = jax.vmap(partial(_ray, region, frame.centre))(directions)
    weights = (half[:, None] * jnp.asarray(_WEIGHTS)[None]).ravel()
    scale = frame.half_x * frame.half_y / _LN2**2
    return jnp.where(scale == 0, 0.0, 0.5 * scale * jnp.sum(weights * t**2))
