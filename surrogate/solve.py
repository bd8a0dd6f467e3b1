"""The lowest point of a convex surface over a box, with its certificate.

A surface is a pure function `log_loss(theta, u, s)` of natural logarithms, convex in
u for every s. Each function here answers ONE problem; `jax.vmap` does the batch over
theta (draws) and s (points). Everything is float64: under `jax.vmap` or `jax.jit`
enter `jax.enable_x64(True)` first, or the arguments arrive as float32 and are refused.
Pass the same function object every time, because compiled programs are kept by it.
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
from surrogate.worlds import Numbers, namespace

LogLoss = Callable[[Any, Any, Any], Any]
"""`log_loss(theta, u [d], s [g]) -> scalar`: ln L at one point."""

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

    u: Float[Array, " d"]
    value: Float[Array, ""]
    gradient: Float[Array, " d"]
    hessian: Float[Array, "d d"]
    eigenvalues: Float[Array, " d"]
    gap: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    at_bound: Bool[Array, " d"]
    converged: Bool[Array, ""]
    is_cut: Bool[Array, ""]
    on_line: Float[Array, ""]


class Local(NamedTuple):
    """Second-order Taylor coefficients of a surface at (x, y); zero in y for d = 1.

    Separate scalars and not matrices, so that a batch of problems is a few long
    arrays and the 2 x 2 algebra below is arithmetic on them.
    """

    value: Numbers
    gx: Numbers
    gy: Numbers
    hxx: Numbers
    hxy: Numbers
    hyy: Numbers


class Box(NamedTuple):
    """Bounds of the two coordinates; the second is [0, 0] for d = 1."""

    x_lo: Numbers
    x_hi: Numbers
    y_lo: Numbers
    y_hi: Numbers


def argmin(
    log_loss: LogLoss,
    theta: Any,
    u0: Float[ArrayLike, " d"],
    s: Float[ArrayLike, " g"],
    lo: Float[ArrayLike, " d"],
    hi: Float[ArrayLike, " d"],
    cut: Cut | None = None,
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
        s: what is given [ln].
        lo: lower bounds [ln], finite; lo == hi fixes a coordinate.
        hi: upper bounds [ln], finite, at least lo.
        cut: a half-plane that the box is cut by, for d = 2; they must meet.

    Returns:
        The minimum. Where the box's own lies beyond the cut it is on the cut's edge,
        and both minimisations count in its gap. A problem that cannot be solved (NaN
        in theta, lo > hi, not convex) ends with `converged` False and disturbs no
        other of its batch.

    Raises:
        DataError: d is not 1 or 2, shapes differ, or an array is not float64.
    """
    with jax.enable_x64(True):
        u0, lo, hi = checked_box(u0=u0, lo=lo, hi=hi)
        theta, s = checked_theta(theta), float64("s", s)
        if cut is None:
            return _argmin(log_loss, theta, u0, s, lo, hi)
        return _argmin_cut(log_loss, theta, u0, s, lo, hi, cut)


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


def checked_theta(theta: Any) -> Any:
    """Theta as JAX arrays; its real leaves refused unless float64."""
    arrays = jax.tree.map(jnp.asarray, theta)
    for leaf in jax.tree.leaves(arrays):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            float64("theta", leaf)
    return arrays


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


def box_of(lo: Array, hi: Array) -> Box:
    """Bounds [d] as scalars; a missing second coordinate is held at 0."""
    if lo.shape[0] == 1:
        zero = jnp.zeros_like(lo[0])
        return Box(lo[0], hi[0], zero, zero)
    return Box(lo[0], hi[0], lo[1], hi[1])


def gap_bound(at: Local, x: Numbers, y: Numbers, box: Box) -> Numbers:
    """How far above the lowest value of the box a convex surface can be at (x, y)."""
    xp = namespace(x)
    gap_x = xp.maximum(at.gx * (x - box.x_lo), at.gx * (x - box.x_hi))
    gap_y = xp.maximum(at.gy * (y - box.y_lo), at.gy * (y - box.y_hi))
    return gap_x + gap_y


def _line_target(
    g: Numbers, h: Numbers, z: Numbers, lo: Numbers, hi: Numbers
) -> Numbers:
    """Minimiser over [lo, hi] of g (t - z) + h (t - z)^2 / 2, h >= 0."""
    xp = namespace(g)
    curved = h > 0
    flat = xp.where(g > 0, lo, xp.where(g < 0, hi, xp.clip(z, lo, hi)))
    return xp.where(curved, xp.clip(z - g / xp.where(curved, h, 1.0), lo, hi), flat)


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


class Search(NamedTuple):
    """One problem under way: the best point, and the share of the next step to try."""

    x: Numbers
    y: Numbers
    at: Local
    share: Numbers
    gap: Numbers
    steps: Numbers
    is_done: Numbers


def advance(local: Callable[..., Local], box: Box, now: Search) -> Search:
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
    # Along the way the surface is convex too: aim at the zero of its slope.
    end = at.gx * move_x + at.gy * move_y
    ratio = slope / xp.where(slope == end, 1.0, slope - end)
    ratio = xp.where(xp.isfinite(ratio), xp.clip(ratio, 0.1, 0.5), 0.5)
    share = xp.where(is_taken, 1.0, now.share * ratio)
    gap = xp.where(is_taken, gap, now.gap)
    is_flat = is_taken & (gap <= 4.0 * noise)
    is_done = is_stalled | is_flat | (share < 1e-12) | ~xp.isfinite(gap)
    return Search(
        x=xp.where(is_taken, x, now.x),
        y=xp.where(is_taken, y, now.y),
        at=Local(
            *(xp.where(is_taken, new, old) for new, old in zip(at, now.at, strict=True))
        ),
        share=share,
        gap=gap,
        steps=now.steps + 1,
        is_done=is_done,
    )


def search(local: Callable[..., Local], x: Array, y: Array, box: Box) -> Search:
    """Minimise `local` over the box from (x, y) until rounding stops it."""
    x = jnp.clip(x, box.x_lo, box.x_hi)
    y = jnp.clip(y, box.y_lo, box.y_hi)
    zero = jnp.zeros_like(x)
    # The first step has share 0: the surface is then traced and compiled only once.
    start = Search(
        x=x,
        y=y,
        at=Local(zero, zero, zero, zero, zero, zero),
        share=zero,
        gap=jnp.full_like(zero, jnp.inf),
        steps=jnp.zeros((), jnp.int32),
        is_done=jnp.zeros((), bool),
    )
    return lax.while_loop(
        lambda now: ~now.is_done & (now.steps < MAX_STEPS),
        partial(advance, local, box),
        start,
    )


@partial(jax.jit, static_argnums=0)
def _argmin(
    log_loss: LogLoss, theta: Any, u0: Array, s: Array, lo: Array, hi: Array
) -> Minimum:
    d = u0.shape[0]
    y0 = u0[1] if d == 2 else jnp.zeros_like(u0[0])
    end = search(expand(log_loss, theta, s, d), u0[0], y0, box_of(lo, hi))
    at = end.at
    u = jnp.stack([end.x, end.y])[:d]
    gradient = jnp.stack([at.gx, at.gy])[:d]
    hessian = jnp.array([[at.hxx, at.hxy], [at.hxy, at.hyy]])[:d, :d]
    mean, half = 0.5 * (at.hxx + at.hyy), 0.5 * (at.hxx - at.hyy)
    radius = jnp.sqrt(half**2 + at.hxy**2)
    both = jnp.stack([mean - radius, mean + radius])
    is_pushed = ((u <= lo) & (gradient > 0)) | ((u >= hi) & (gradient < 0)) | (lo == hi)
    gap = jnp.where(jnp.all(lo <= hi), end.gap, jnp.nan)
    return Minimum(
        u=u,
        value=at.value,
        gradient=gradient,
        hessian=hessian,
        eigenvalues=both if d == 2 else at.hxx[None],
        gap=gap,
        gradient_norm=jnp.sqrt(jnp.sum(jnp.where(is_pushed, 0.0, gradient) ** 2)),
        at_bound=((u <= lo) | (u >= hi)) & (lo < hi),
        converged=gap <= CERTIFIED_GAP,
        is_cut=jnp.zeros((), bool),
        on_line=jnp.full((), jnp.nan),
    )


@partial(jax.jit, static_argnums=0)
def _argmin_cut(
    log_loss: LogLoss,
    theta: Any,
    u0: Array,
    s: Array,
    lo: Array,
    hi: Array,
    cut: Cut,
) -> Minimum:
    """Over the box, and along the edge of the cut: one program for both."""
    line = line_of(cut, lo, hi)
    zero = jnp.zeros_like(line.low)

    def lowest(origin: Array, x: Array, y: Array, *box: Array) -> Minimum:
        def framed(theta: Any, v: Array, s: Array) -> Array:
            return log_loss(theta, origin + v[0] * x + v[1] * y, s)

        return _argmin(framed, theta, box[0], s, box[1], box[2])

    middle = 0.5 * (line.low + line.high)
    free, held = (
        jax.tree.map(lambda array, k=k: array[k], found)
        for found in [
            jax.vmap(lowest)(
                jnp.stack([jnp.zeros(2), line.origin]),
                jnp.stack([jnp.array([1.0, 0.0]), line.along]),
                jnp.stack([jnp.array([0.0, 1.0]), line.across]),
                jnp.stack([u0, jnp.stack([middle, zero])]),
                jnp.stack([lo, jnp.stack([line.low, zero])]),
                jnp.stack([hi, jnp.stack([line.high, zero])]),
            )
        ]
        for k in (0, 1)
    )
    is_cut = ~cut.holds(free.u)
    turn = jnp.stack([line.along, line.across], axis=1)
    u = jnp.clip(line.at(held.u[0]), lo, hi)
    on_edge = held._replace(
        u=u,
        gradient=turn @ held.gradient,
        hessian=turn @ held.hessian @ turn.T,
        gap=held.gap + free.gap,
        at_bound=((u <= lo) | (u >= hi)) & (lo < hi),
        converged=held.gap + free.gap <= CERTIFIED_GAP,
    )
    chosen = jax.tree.map(lambda a, b: jnp.where(is_cut, a, b), on_edge, free)
    return chosen._replace(is_cut=is_cut, on_line=held.u[0])
