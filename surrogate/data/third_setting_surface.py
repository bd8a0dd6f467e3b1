"""Where each level of a setting is lowest: a surface with slopes of each level's own.

Where levels ran at the same settings of x = (ln lr, ln batch), as in a grid, what a
setting is worth is taken as it comes, and levels differ by a constant and a slope:

    ln L = c[setting] + a[level] + g[level] x.

Else one curvature serves all levels, since few runs tell six:

    ln L = a[level] + g[level] x + x' H x.

A level's loss is the least of this within what it ran at. Differences have t intervals
from the residuals, by the derivative of that least (the envelope theorem: the design's
row there). Weights fall where the fitted loss is over 3 % above the level's lowest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from surrogate.base.chances import student
from surrogate.base.shapes import Float64, Int64

LEVEL = 0.95
# Excess of the loss over which weights fall, and how often they are found anew.
_NEAR, _ROUNDS = 0.03, 8
# Different values that a level needs for a slope of its own, and all for a curvature.
_SLOPE, _BEND = 2, 3
# Runs beyond the terms from which a fuller surface is taken, and a plainer one.
_ENOUGH, _LEAST = 3.0, 1.0
_GRID = 41
# What a surface is before it is fitted.
_UNKNOWN = (np.zeros(0), np.zeros((0, 0)), 0)

Vector = Float64[np.ndarray, " _"]
Table = Float64[np.ndarray, "_ _"]
Owners = Int64[np.ndarray, " _"]


@dataclass(frozen=True, eq=False)
class Surface:
    """What the design is made of, and what least squares found.

    Attributes:
        center: of ln lr and ln batch.
        levels: how many.
        slopes: for each axis, the levels with a slope of their own.
        common: for each axis, whether the other levels share one.
        bends: pairs of axes whose product is a term.
        settings: those of a grid, each a term of its own; none where x is continuous.
        theta: the terms' coefficients.
        covariance: of them.
        freedom: runs near the lowest beyond the terms.
    """

    center: Vector
    levels: int
    slopes: tuple[tuple[int, ...], tuple[int, ...]]
    common: tuple[bool, bool]
    bends: tuple[tuple[int, int], ...]
    settings: Table
    theta: Vector
    covariance: Table
    freedom: int

    @property
    def reach(self) -> float:
        """Half a 95 % interval, in standard errors."""
        return student(0.5 + LEVEL / 2, self.freedom)

    def design(self, x: Table, owner: Owners) -> Table:
        """A row for each point: levels, slopes, bends."""
        z = x - self.center
        # With a term for each setting, levels are differences from the first.
        first = 1 if len(self.settings) else 0
        columns = [(owner == k).astype(np.float64) for k in range(first, self.levels)]
        columns += [(x == s).all(axis=1).astype(np.float64) for s in self.settings]
        for axis in (0, 1):
            own = self.slopes[axis]
            columns += [z[:, axis] * (owner == k) for k in own]
            if self.common[axis]:
                columns.append(z[:, axis] * ~np.isin(owner, own))
        columns += [z[:, i] * z[:, j] for i, j in self.bends]
        return np.stack(columns, axis=1)


class Low(NamedTuple):
    """The lowest point of a level [ln loss], and the design's row there."""

    value: float
    x: Vector
    row: Vector
    at_edge: bool


def fit(
    x: Table, y: Vector, owner: Owners, levels: int
) -> tuple[Surface | None, Surface | None]:
    """The fullest surface that leaves runs over, and the fullest of the other kind.

    None where none does. How far the two differ is how far the form decides.

    Args:
        x: ln lr and ln batch of each run.
        y: its ln loss.
        owner: its level.
        levels: how many there are.
    """
    grids, curves = _on_grid(x, owner, levels), _curved(x, owner, levels)
    found = [_fullest(part, x, y, owner) for part in (grids, curves)]
    first, second = found if found[0] is not None else found[::-1]
    return first, second


def _fullest(
    surfaces: Iterator[Surface], x: Table, y: Vector, owner: Owners
) -> Surface | None:
    """The first that leaves enough runs over, else that which leaves most."""
    plainer: Surface | None = None
    most = _LEAST
    for surface in surfaces:
        design = surface.design(x, owner)
        terms = design.shape[1]
        if len(y) <= terms or np.linalg.matrix_rank(design) < terms:
            continue
        found, left = _weighted(surface, design, y, owner)
        if left >= _ENOUGH:
            return found
        if left > most:
            plainer, most = found, left
    return plainer


def _sloped(x: Table, owner: Owners, levels: int, axis: int) -> tuple[int, ...]:
    """Levels that may have a slope of their own along an axis."""
    if np.unique(x[:, axis]).size < _BEND:
        return ()
    return tuple(
        k for k in range(levels) if np.unique(x[owner == k, axis]).size >= _SLOPE
    )


def _on_grid(x: Table, owner: Owners, levels: int) -> Iterator[Surface]:
    """Surfaces with a term for each setting, from the fullest to the plainest."""
    settings = np.unique(x, axis=0)
    # Where few settings ran at two levels, each term would just fit its own run.
    if 2 * len(settings) > len(x):
        return
    lr, batch = (
        tuple(k for k in _sloped(x, owner, levels, axis) if k) for axis in (0, 1)
    )
    for slopes in ((lr, batch), (lr, ()), ((), ())):
        yield Surface(
            *(x.mean(axis=0), levels, slopes, (False, False), (), settings),
            *_UNKNOWN,
        )


def _curved(x: Table, owner: Owners, levels: int) -> Iterator[Surface]:
    """Surfaces with one curvature, from the fullest to the plainest."""
    counts = [np.unique(x[:, axis]).size for axis in (0, 1)]
    own = [_sloped(x, owner, levels, axis) for axis in (0, 1)]
    bent = tuple((axis, axis) for axis in (0, 1) if counts[axis] >= _BEND)
    crossed = (*bent, (0, 1)) if len(bent) == 2 else bent
    for slopes in ((own[0], own[1]), (own[0], ()), ((), ())):
        common = tuple(
            counts[axis] > 1 and len(slopes[axis]) < levels for axis in (0, 1)
        )
        for bends in dict.fromkeys((crossed, bent)):
            yield Surface(
                x.mean(axis=0),
                levels,
                slopes,
                (common[0], common[1]),
                bends,
                np.zeros((0, 2)),
                *_UNKNOWN,
            )


def _weighted(
    surface: Surface, design: Table, y: Vector, owner: Owners
) -> tuple[Surface, float]:
    """Least squares near the lowest, and how many runs are left over there."""
    every = range(surface.levels)
    lows = np.array([y[owner == k].min() for k in every])
    # First by what was measured, then by what was fitted.
    excess = y - lows[owner]
    theta, weight = np.zeros(design.shape[1]), np.ones(len(y))
    for _ in range(_ROUNDS):
        weight = 1 / (1 + (excess / _NEAR) ** 2)
        root = np.sqrt(weight)
        theta = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        fitted = design @ theta
        lows = np.array([fitted[owner == k].min() for k in every])
        excess = np.maximum(fitted - lows[owner], 0.0)
    inverse = np.linalg.pinv(design.T @ (design * weight[:, None]))
    leverage = weight * np.einsum("ij,jk,ik->i", design, inverse, design)
    # Runs far from the lowest, or with a term of their own, add no freedom.
    left = float((weight * (1 - leverage)).sum())
    error = float((weight * (y - design @ theta) ** 2).sum()) / max(left, _LEAST)
    found = replace(
        surface,
        theta=theta,
        covariance=error * inverse,
        freedom=max(1, round(left)),
    )
    return found, left


def lowest(surface: Surface, x: Table, level: int) -> Low:
    """The least of the surface of one level, over what it ran at: a grid within it."""
    if len(surface.settings):
        return _at(surface, x, x, level)
    axes = [
        np.linspace(low, high, _GRID if high > low else 1)
        for low, high in zip(x.min(axis=0), x.max(axis=0), strict=True)
    ]
    grid = np.meshgrid(*axes, indexing="ij")
    points = np.stack([axis.ravel() for axis in grid], axis=1)
    return _at(surface, x, points, level)


def _at(surface: Surface, x: Table, points: Table, level: int) -> Low:
    """The lowest of some points of a level, which ran at x."""
    rows = surface.design(points, np.full(len(points), level, dtype=np.int64))
    values = rows @ surface.theta
    best = int(values.argmin())
    at, row = points[best], rows[best]
    is_edge = _at_edge(x, at)
    if len(surface.settings):
        at, row = _between(points, rows, values, best)
    return Low(float(row @ surface.theta), at, row, is_edge)


def _between(
    points: Table, rows: Table, values: Vector, best: int
) -> tuple[Vector, Vector]:
    """The lowest between settings of a grid: by a parabola along each axis.

    Its value is a sum of those of three settings, so its row is one of theirs.
    """
    at, row = points[best].copy(), rows[best].copy()
    for axis in (0, 1):
        line = points[:, 1 - axis] == points[best, 1 - axis]
        place = points[:, axis]
        below = np.flatnonzero(line & (place < place[best]))
        above = np.flatnonzero(line & (place > place[best]))
        if not (len(below) and len(above)):
            continue
        i, k = below[place[below].argmax()], above[place[above].argmin()]
        three = [int(i), best, int(k)]
        curve = np.polyfit(place[three] - place[best], values[three], 2)
        if curve[0] <= 0:
            continue
        step = float(-curve[1] / (2 * curve[0]))
        at[axis] += step
        row += _lagrange(place[three] - place[best], step) @ rows[three] - rows[best]
    return at, row


def _lagrange(x: Vector, at: float) -> Vector:
    """Weights of three values that give the parabola through them at a place."""
    return np.array(
        [
            (at - x[j]) * (at - x[k]) / ((x[i] - x[j]) * (x[i] - x[k]))
            for i, j, k in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
        ]
    )


def measured(x: Table, y: Vector, rows: np.ndarray) -> Low:
    """The lowest measured run of a level."""
    best = int(y[rows].argmin())
    at = x[rows][best]
    return Low(float(y[rows][best]), at, np.zeros(0), _at_edge(x[rows], at))


def _at_edge(x: Table, at: Vector) -> bool:
    """Whether a point lies at an end of what was tried along some axis."""
    ends = (at == x.min(axis=0)) | (at == x.max(axis=0))
    return bool((ends & (np.ptp(x, axis=0) > 0)).any())
