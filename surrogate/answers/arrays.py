"""The fit and its draws solved together, in NumPy.

All arrays are standardised coordinates; line 0 is the fit, the others are its draws.
NaN marks what could not be computed.
"""

from __future__ import annotations

from typing import NamedTuple, TypedDict

import numpy as np

from surrogate.base.shapes import Float64, Int
from surrogate.families import Family
from surrogate.families.forms import Form, form
from surrogate.numerics import plateau_box, plateau_shape
from surrogate.numerics.half_plane import Cut
from surrogate.numerics.minimum import Minimum, lowest
from surrogate.numerics.plateau_edges import Extents

Vector = Float64[np.ndarray, " _"]
# Numbers of one array at most, so that the work stays near the processor.
BLOCK = 512
_NUMBERS = 1 << 18
_POINTS = 128


class Ran(TypedDict):
    """Where answers were computed, and by whose arithmetic."""

    device: str
    backend: str


def ran() -> Ran:
    """What answers record of the machine."""
    return Ran(device="cpu", backend="numpy")


class Minima(NamedTuple):
    """`Minimum` of the fit and its draws, one a line."""

    u: Float64[np.ndarray, "thetas choices"]
    value: Float64[np.ndarray, " thetas"]
    gradient: Float64[np.ndarray, "thetas choices"]
    hessian: Float64[np.ndarray, "thetas choices choices"]
    eigenvalues: Float64[np.ndarray, "thetas choices"]
    gap: Float64[np.ndarray, " thetas"]
    gradient_norm: Float64[np.ndarray, " thetas"]
    at_bound: np.ndarray
    converged: np.ndarray
    is_cut: np.ndarray
    on_line: Float64[np.ndarray, " thetas"]


class Edges(NamedTuple):
    """`Extents` of the fit and its draws, one a line."""

    edges: Float64[np.ndarray, "thetas choices 2"]
    is_open: np.ndarray
    other: Float64[np.ndarray, "thetas choices 2"]
    is_cut: np.ndarray
    line: Float64[np.ndarray, "thetas 2 2"]


class Band(NamedTuple):
    """The plateau of the fit itself (no draws).

    Attributes:
        slices: interval of each coordinate with the other at the optimum's value.
        contour: its boundary; empty where u has one coordinate.
        area: octaves^2 of u as it is; of lr and batch times `Features.u_scale` of both.
    """

    slices: Float64[np.ndarray, "choices 2"]
    contour: Float64[np.ndarray, "points choices"]
    area: float


def _solved(
    family: Family,
    thetas: np.ndarray,
    s: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    cut: Cut | None,
) -> Minimum:
    """The lowest points, from the middle of each box; leading axes broadcast."""
    shape = np.broadcast_shapes(thetas.shape[:-1], s.shape[:-1])
    middle = 0.5 * (low + high)
    start = np.broadcast_to(middle, (*shape, middle.shape[-1]))
    with np.errstate(all="ignore"):
        return lowest(form(family, thetas, s), start, low, high, cut)


def minima(
    family: Family,
    thetas: np.ndarray,
    s: Vector,
    low: Vector,
    high: Vector,
    cut: Cut | None = None,
) -> Minima:
    """The lowest point over the box, and within the cut, of every theta."""
    return Minima(*_solved(family, thetas, s, low, high, cut))


def extents(
    surfaces: Form,
    minimum: Minima,
    low: Vector,
    high: Vector,
    tol: float,
    cut: Cut | None = None,
) -> Edges:
    """The plateau's edges of every theta, whose surfaces those are."""
    level = minimum.value + np.log1p(tol)
    with np.errstate(all="ignore"):
        found = plateau_box.extents(surfaces, Minimum(*minimum), low, high, level, cut)
    return Edges(*found)


def band(region: plateau_shape.Region, found: Edges, u: Vector) -> Band:
    """Slices, contour and area of the first plateau of `found`, in two coordinates."""
    first = Extents(*(array[0] for array in found))
    with np.errstate(all="ignore"):
        slices = [
            plateau_shape.slice_extents(region, i, u[1 - i]).edges for i in (0, 1)
        ]
        boundary = plateau_shape.contour(region, first, _POINTS)
        area = plateau_shape.area_octaves2(region, first)
    return Band(np.stack(slices), np.asarray(boundary.u), float(area))


def slice_at(region: plateau_shape.Region, i: int, at: float) -> Vector:
    """Interval of coordinate i, the other held at `at`; NaN where none is inside."""
    with np.errstate(all="ignore"):
        found = plateau_shape.slice_extents(region, i, np.asarray(at))
    return np.asarray(found.edges)


def points(
    u: Float64[np.ndarray, "m choices"], s: Vector
) -> Float64[np.ndarray, "m k"]:
    """The points (u, s) of many u at one s."""
    return np.concatenate([u, np.broadcast_to(s, (len(u), len(s)))], axis=1)


def log_losses(
    family: Family,
    thetas: np.ndarray,
    z: Float64[np.ndarray, "m k"],
    moves: Float64[np.ndarray, "thetas choices"] | None = None,
) -> Float64[np.ndarray, "thetas m"]:
    """Ln loss relative to the level, of every theta at every point (u, s).

    `moves` are steps in u by which each theta's surface is moved.
    """
    choices = family.shape.choices
    if moves is None:
        moves = np.zeros((len(thetas), choices))
    found = np.empty((len(thetas), len(z)))
    size = max(_NUMBERS // max(len(thetas), 1), 1)
    for first in range(0, len(z), size):
        some = slice(first, first + size)
        found[:, some] = _log_losses(family, thetas, z[some], moves)
    return found


def _log_losses(
    family: Family, thetas: np.ndarray, z: np.ndarray, moves: np.ndarray
) -> Float64[np.ndarray, "thetas m"]:
    choices = family.shape.choices
    u = z[:, :choices] - moves[:, None]
    s = z[:, choices:]
    # At one place the coefficients are those of all points.
    s = s[:1] if len(s) and (s == s[0]).all() else s
    y = u[..., 1] if choices == 2 else np.zeros(u.shape[:-1])
    with np.errstate(all="ignore"):
        return form(family, thetas[:, None], s).value(u[..., 0], y)


def inside(
    family: Family,
    thetas: np.ndarray,
    s: Vector,
    axes: list[np.ndarray],
    moves: Float64[np.ndarray, "thetas choices"],
    limits: Float64[np.ndarray, " thetas"],
) -> Int[np.ndarray, ...]:
    """How many thetas have a ln loss within their limit, on the grid of the axes."""
    x, y = axes[0], axes[1] if len(axes) == 2 else np.zeros(1)
    steps = moves if moves.shape[1] == 2 else np.pad(moves, ((0, 0), (0, 1)))
    found = np.zeros((len(x), len(y)), dtype=np.int64)
    size = max(_NUMBERS // found.size, 1)
    with np.errstate(all="ignore"):
        for first in range(0, len(thetas), size):
            some = slice(first, first + size)
            at_x, at_y = x - steps[some, :1], y - steps[some, 1:]
            losses = form(family, thetas[some], s).on_grid(at_x, at_y)
            found += (losses <= limits[some, None, None]).sum(axis=0)
    return found.reshape([len(axis) for axis in axes])


def minima_at(
    family: Family,
    theta: Vector,
    s: Float64[np.ndarray, "m g"],
    low: Vector,
    high: Vector,
    cuts: Cut | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest ln loss over the box, and where, of one theta at many s.

    `cuts` has one normal and one bound a line of s.
    """
    found = _solved(family, theta, s, low, high, cuts)
    return np.asarray(found.value), np.asarray(found.u)


def minima_each(
    family: Family,
    thetas: np.ndarray,
    s: Float64[np.ndarray, "thetas m g"],
    low: Float64[np.ndarray, "thetas m choices"],
    high: Float64[np.ndarray, "thetas m choices"],
    cuts: Cut | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest ln loss, and where, of every theta at places and in boxes of its own."""
    found = _solved(family, thetas[:, None], s, low, high, cuts)
    return np.asarray(found.value), np.asarray(found.u)
