"""The fit and its draws solved together: one compiled call a kind of question.

All arrays are standardised coordinates of `features`; line 0 is the fit, the others are
its draws. NaN marks what could not be computed.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64

from surrogate import plateau, solve
from surrogate.cut import Cut
from surrogate.families import Family

Vector = Float64[np.ndarray, " _"]
# A question is asked once in a process: compiling takes longer than answering, and at
# level 0 half as long. The rounding of float64 does not depend on it.
_for_one_question = partial(
    jax.jit,
    static_argnames="family",
    compiler_options={"xla_backend_optimization_level": 0},
)
# Points solved in one call; the last block is padded.
BLOCK = 512


class Ran(TypedDict):
    """Where answers were computed, and by whose arithmetic."""

    device: str
    backend: str


def ran() -> Ran:
    """What answers record of the machine: nothing here has a kernel but XLA's own."""
    return Ran(device=jax.local_devices()[0].platform, backend="xla")


class Minima(NamedTuple):
    """`solve.Minimum` of the fit and its draws, one a line, as NumPy arrays."""

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
    """`plateau.Extents` of the fit and its draws, one a line, as NumPy arrays."""

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


def minima(
    family: Family,
    thetas: np.ndarray,
    s: Vector,
    low: Vector,
    high: Vector,
    cut: Cut | None = None,
) -> Minima:
    """The lowest point over the box, and within the cut, of every theta."""
    with jax.enable_x64(True):
        found = _minima(family, *map(jnp.asarray, (thetas, s, low, high)), cut)
        return Minima(*map(np.asarray, found))


@_for_one_question
def _minima(
    family: Family,
    thetas: Array,
    s: Array,
    low: Array,
    high: Array,
    cut: Cut | None,
) -> solve.Minimum:
    start = 0.5 * (low + high)
    return jax.vmap(
        lambda theta: solve.argmin(family.log_loss, theta, start, s, low, high, cut)
    )(thetas)


def extents(
    family: Family,
    thetas: np.ndarray,
    minimum: Minima,
    s: Vector,
    low: Vector,
    high: Vector,
    tol: float,
    cut: Cut | None = None,
) -> Edges:
    """The plateau's edges of every theta."""
    with jax.enable_x64(True):
        least = solve.Minimum(*map(jnp.asarray, minimum))
        arrays = map(jnp.asarray, (thetas, s, low, high, np.log1p(tol)))
        return Edges(*map(np.asarray, _extents(family, least, *arrays, cut)))


@_for_one_question
def _extents(
    family: Family,
    minimum: solve.Minimum,
    thetas: Array,
    s: Array,
    low: Array,
    high: Array,
    log_tol: Array,
    cut: Cut | None,
) -> plateau.Extents:
    return jax.vmap(
        lambda theta, least: plateau.extents(
            family.log_loss, theta, least, s, low, high, least.value + log_tol, cut
        )
    )(thetas, minimum)


def band(
    family: Family,
    theta: Vector,
    found: Edges,
    u: Vector,
    s: Vector,
    low: Vector,
    high: Vector,
    level: float,
    cut: Cut | None = None,
) -> Band:
    """Slices, contour and area of the first plateau of `found`, in two coordinates."""
    with jax.enable_x64(True):
        first = plateau.Extents(*(jnp.asarray(array[0]) for array in found))
        arrays = map(jnp.asarray, (theta, u, s, low, high, level))
        slices, contour, area = _band(family, first, *arrays, cut)
        return Band(np.asarray(slices), np.asarray(contour), float(area))


@_for_one_question
def _band(
    family: Family,
    found: plateau.Extents,
    theta: Array,
    u: Array,
    s: Array,
    low: Array,
    high: Array,
    level: Array,
    cut: Cut | None,
) -> tuple[Array, Array, Array]:
    surface = family.log_loss
    # One program for both slices, since each is a second to compile.
    slices = jax.vmap(
        lambda i, at: plateau.slice_extents(
            surface, theta, s, i, at, low, high, level, cut
        )
    )(jnp.arange(2), u[::-1]).edges
    boundary = plateau.contour(surface, theta, found, s, low, high, level, cut)
    area = plateau.area_octaves2(surface, theta, found, s, low, high, level, cut)
    return slices, boundary.u, area


def slice_at(
    family: Family,
    theta: Vector,
    s: Vector,
    i: int,
    at: float,
    low: Vector,
    high: Vector,
    level: float,
    cut: Cut | None = None,
) -> Vector:
    """Interval of coordinate i, the other held at `at`; NaN where none is inside."""
    with jax.enable_x64(True):
        arrays = map(jnp.asarray, (theta, s, i, at, low, high, level))
        return np.asarray(_slice_at(family, *arrays, cut))


@_for_one_question
def _slice_at(
    family: Family,
    theta: Array,
    s: Array,
    i: Array,
    at: Array,
    low: Array,
    high: Array,
    level: Array,
    cut: Cut | None,
) -> Array:
    found = plateau.slice_extents(
        family.log_loss, theta, s, i, at, low, high, level, cut
    )
    return found.edges


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
    steps = np.zeros((len(thetas), z.shape[1]))
    if moves is not None:
        steps[:, :choices] = moves
    parts = []
    with jax.enable_x64(True):
        stack = jnp.asarray(thetas), jnp.asarray(steps)
        for first in range(0, len(z), BLOCK):
            block = z[first : first + BLOCK]
            part = _log_losses(family, *stack, jnp.asarray(_padded(block)))
            parts.append(np.asarray(part)[:, : len(block)])
    return np.concatenate(parts, axis=1)


@partial(jax.jit, static_argnames="family")
def _log_losses(family: Family, thetas: Array, steps: Array, z: Array) -> Array:
    return jax.vmap(lambda theta, step: family.log_losses(theta, z - step[None]))(
        thetas, steps
    )


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
    values, places = [], []
    with jax.enable_x64(True):
        for first in range(0, len(s), BLOCK):
            chosen = slice(first, first + BLOCK)
            size = len(s[chosen])
            arrays = map(jnp.asarray, (theta, _padded(s[chosen]), low, high))
            cut = jax.tree.map(lambda a, c=chosen: jnp.asarray(_padded(a[c])), cuts)
            value, u = _minima_at(family, *arrays, cut)
            values.append(np.asarray(value)[:size])
            places.append(np.asarray(u)[:size])
    return np.concatenate(values), np.concatenate(places)


@partial(jax.jit, static_argnames="family")
def _minima_at(
    family: Family, theta: Array, s: Array, low: Array, high: Array, cuts: Cut | None
) -> tuple[Array, Array]:
    start = 0.5 * (low + high)
    found = jax.vmap(
        lambda s, cut: solve.argmin(family.log_loss, theta, start, s, low, high, cut)
    )(s, cuts)
    return found.value, found.u


def minima_each(
    family: Family,
    thetas: np.ndarray,
    s: Float64[np.ndarray, "thetas m g"],
    low: Float64[np.ndarray, "thetas m choices"],
    high: Float64[np.ndarray, "thetas m choices"],
    cuts: Cut | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest ln loss, and where, of every theta at places and in boxes of its own."""
    with jax.enable_x64(True):
        arrays = map(jnp.asarray, (thetas, s, low, high))
        value, u = _minima_each(family, *arrays, jax.tree.map(jnp.asarray, cuts))
        return np.asarray(value), np.asarray(u)


@_for_one_question
def _minima_each(
    family: Family, thetas: Array, s: Array, low: Array, high: Array, cuts: Cut | None
) -> tuple[Array, Array]:
    def one(
        theta: Array, s: Array, low: Array, high: Array, cut: Cut | None
    ) -> solve.Minimum:
        return solve.argmin(
            family.log_loss, theta, 0.5 * (low + high), s, low, high, cut
        )

    places = jax.vmap(one, (None, 0, 0, 0, 0))
    found = jax.vmap(places)(thetas, s, low, high, cuts)
    return found.value, found.u


def _padded(block: np.ndarray) -> np.ndarray:
    """To BLOCK rows, so that few shapes are compiled."""
    missing = BLOCK - len(block)
    return np.concatenate([block, np.repeat(block[:1], missing, axis=0)])
