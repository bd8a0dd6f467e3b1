"""The plateau {u in the box : ln L(u, s) <= level} of a surface given as a function.

As in `argmin`, each function answers ONE problem and `jax.vmap` does the batch: under
`jax.lax.map`, in blocks of 1,000 to 4,000, the work stays in the cache. `level` is
`minimum.value + ln(1 + tol)`. What cannot be computed is NaN. The arithmetic is that of
`plateau_box` and `plateau_shape`, which serve NumPy too.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from surrogate.base.errors import DataError
from surrogate.numerics import plateau_box, plateau_shape
from surrogate.numerics.argmin import (
    LogLoss,
    Minimum,
    Traced,
    checked_box,
    checked_theta,
    float64,
)
from surrogate.numerics.half_plane import Cut
from surrogate.numerics.plateau_edges import Extents
from surrogate.numerics.plateau_shape import Contour, Region, Slice

__all__ = [
    "Contour",
    "Extents",
    "Slice",
    "area_octaves2",
    "contour",
    "extents",
    "slice_extents",
]


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


def _region(
    log_loss: LogLoss,
    theta: Any,
    s: Array,
    lo: Array,
    hi: Array,
    level: Array,
    cut: Cut | None,
) -> Region:
    return Region(Traced(log_loss, theta, s, lo.shape[0]), lo, hi, level, cut)


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
    surface = Traced(log_loss, theta, s, lo.shape[0])
    return plateau_box.extents(surface, minimum, lo, hi, level, cut)


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
    region = _region(log_loss, theta, s, lo, hi, level, cut)
    return plateau_shape.slice_extents(region, i, at)


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
    region = _region(log_loss, theta, s, lo, hi, level, cut)
    return plateau_shape.contour(region, found, points)


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
    region = _region(log_loss, theta, s, lo, hi, level, cut)
    return plateau_shape.area_octaves2(region, found)
