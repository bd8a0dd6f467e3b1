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

from surrogate.base.errors import DataError
from surrogate.base.shapes import Array, Float
from surrogate.numerics import plateau_box, plateau_shape
from surrogate.numerics.argmin import (
    LogLoss,
    Minimum,
    Place,
    Traced,
    checked,
    checked_box,
    float64,
)
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
    place: Place,
    level: Float[ArrayLike, ""],
) -> Extents:
    """Support points of the plateau along each coordinate.

    With phi_i(t) = min over the other coordinate of ln L at u_i = t, each edge is the
    root of phi_i = level beyond the minimum, or the bound of the box where that is
    inside.

    Args:
        log_loss: the surface, convex in u.
        theta: its parameters, any pytree of float64.
        minimum: its lowest point over the same box.
        place: s, box and half-plane, as of `minimum`.
        level: the largest ln L inside.

    Returns:
        The extents; NaN where the level lies below the minimum.

    Raises:
        DataError: d is not 1 or 2, shapes differ, or an array is not float64.
    """
    with jax.enable_x64(True):
        _, lo, hi = checked_box(u=minimum.u, lo=place.lo, hi=place.hi)
        theta, place = checked(theta, place._replace(lo=lo, hi=hi))
        return _extents(log_loss, theta, minimum, place, float64("level", level))


def slice_extents(
    log_loss: LogLoss,
    theta: Any,
    i: int | Array,
    at: Float[ArrayLike, ""],
    place: Place,
    level: Float[ArrayLike, ""],
) -> Slice:
    """Interval of coordinate `i` within the plateau, the other one held at `at` [ln].

    Returns:
        The interval; NaN where nothing is inside, as with `at` outside the box.

    Raises:
        DataError: d is not 2, or an array is not float64.
    """
    with jax.enable_x64(True):
        theta, place = _checked_plane("slice", theta, place)
        i, at, level = jnp.asarray(i), float64("at", at), float64("level", level)
        return _slice(log_loss, theta, i, at, place, level)


def contour(
    log_loss: LogLoss,
    theta: Any,
    found: Extents,
    place: Place,
    level: Float[ArrayLike, ""],
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
        theta, place = _checked_plane("contour", theta, place)
        level = float64("level", level)
        return _contour(log_loss, points, theta, found, place, level)


def area_octaves2(
    log_loss: LogLoss,
    theta: Any,
    found: Extents,
    place: Place,
    level: Float[ArrayLike, ""],
) -> Float[Array, ""]:
    """Area of the plateau [octaves^2]: half the integral of r^2 over the angle.

    The boundary is smooth but where it meets the box, so the integral is taken by
    Gauss-Legendre between those angles. 0 where a coordinate is held (lo == hi).

    Raises:
        DataError: d is not 2, or an array is not float64.
    """
    with jax.enable_x64(True):
        theta, place = _checked_plane("area", theta, place)
        return _area(log_loss, theta, found, place, float64("level", level))


def _checked_plane(what: str, theta: Any, place: Place) -> tuple[Any, Place]:
    lo, hi = checked_box(lo=place.lo, hi=place.hi)
    if lo.shape != (2,):
        raise DataError(
            f"Expected 2 chosen coordinates for a plateau's {what}, got 1. With one "
            "coordinate the plateau is an interval: ask for its extents."
        )
    return checked(theta, place._replace(lo=lo, hi=hi))


def _region(log_loss: LogLoss, theta: Any, place: Place, level: Array) -> Region:
    s, lo, hi, cut = place
    return Region(Traced(log_loss, theta, s, lo.shape[0]), lo, hi, level, cut)


@partial(jax.jit, static_argnums=0)
def _extents(
    log_loss: LogLoss, theta: Any, minimum: Minimum, place: Place, level: Array
) -> Extents:
    surface, lo, hi, level, cut = _region(log_loss, theta, place, level)
    return plateau_box.extents(surface, minimum, lo, hi, level, cut)


@partial(jax.jit, static_argnums=0)
def _slice(
    log_loss: LogLoss, theta: Any, i: Array, at: Array, place: Place, level: Array
) -> Slice:
    region = _region(log_loss, theta, place, level)
    return plateau_shape.slice_extents(region, i, at)


@partial(jax.jit, static_argnums=(0, 1))
def _contour(
    log_loss: LogLoss,
    points: int,
    theta: Any,
    found: Extents,
    place: Place,
    level: Array,
) -> Contour:
    return plateau_shape.contour(_region(log_loss, theta, place, level), found, points)


@partial(jax.jit, static_argnums=0)
def _area(
    log_loss: LogLoss, theta: Any, found: Extents, place: Place, level: Array
) -> Array:
    return plateau_shape.area_octaves2(_region(log_loss, theta, place, level), found)
