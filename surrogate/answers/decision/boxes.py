"""The inner boxes of a plateau: of the fit, and of most of its draws."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from surrogate.answers import arrays
from surrogate.answers.solved import Solved
from surrogate.answers.stability_edge import Bounds
from surrogate.base.shapes import Bool
from surrogate.families import Family
from surrogate.families.forms import Form, form
from surrogate.fitting.model import Model
from surrogate.numerics import inner_box, plateau_box, robust_box
from surrogate.numerics.inner_box import Box, Walls
from surrogate.numerics.minimum import Minimum

# A side this near to a bound is on it, as a share of the box.
_ON_BOUND = 1e-3


class Boxes(NamedTuple):
    """Boxes in coordinates u, (low, high) of each; None where there is none.

    Attributes:
        inner: of the fit.
        robust: of a share of the draws.
        is_open: sides of the plateau that are the end of what was tested.
        bounds: within which the boxes are sought.
    """

    inner: Box | None
    robust: Box | None
    is_open: np.ndarray
    bounds: Bounds


def capped(fit: Model, bounds: Bounds, most: dict[str, float]) -> Bounds | None:
    """The box below the largest lr and batch allowed; None where nothing is left."""
    high = bounds.high.copy()
    for i, name in enumerate(fit.features.choices):
        if name in most:
            end = (np.log(most[name]) - fit.features.mean[i]) / fit.features.scale[i]
            high[i] = min(high[i], end)
    if (high < bounds.low).any():
        return None
    return replace(bounds, high=high)


def boxes(
    solved: Solved, tol: float, probability: float, most: dict[str, float]
) -> Boxes:
    """Both boxes.

    Args:
        solved: the minimum of the fit and its draws.
        tol: of the plateau.
        probability: share of the draws.
        most: the largest lr and batch allowed.
    """
    fit, edges = solved.fit, solved.edges(tol)
    bounds, is_open = _tested(solved, edges)
    within = capped(fit, bounds, most)
    level = solved.value + np.log1p(tol)
    if within is None or not np.isfinite(level):
        return Boxes(None, None, is_open, bounds)
    # A side that the user set is no end of what was tested.
    is_open = is_open & np.stack([is_open[:, 0], within.high == bounds.high], axis=1)
    is_free = within.low < within.high
    if is_free.all() and len(is_free) == 2:
        own = inner(fit.family, fit.theta, solved.question.s, within, float(level))
        safe = robust(Drawn.of(solved, tol), within, probability)
        return Boxes(own, safe, is_open, within)
    if not is_free.any():
        return Boxes(None, None, is_open, within)
    i = int(np.argmax(is_free))
    own = edges.edges[0, i]
    drawn = solved.draws(edges.edges)[:, i] + solved.moves[:, i, None]
    found = (
        robust_box.interval(drawn, probability)
        if np.isfinite(drawn).all(axis=1).any()
        else None
    )
    return Boxes(_line(within, i, own), _line(within, i, found), is_open, within)


def _line(bounds: Bounds, i: int, ends: np.ndarray | None) -> Box | None:
    """A box with one free side."""
    if ends is None:
        return None
    found = np.stack([bounds.low, bounds.high], axis=1)
    found[i] = np.clip(ends, bounds.low[i], bounds.high[i])
    return found if found[i, 0] < found[i, 1] else None


def _tested(solved: Solved, edges: arrays.Edges) -> tuple[Bounds, np.ndarray]:
    """The box that was searched, an open side of it at the end of what was tested."""
    fit, bounds, u = solved.fit, solved.bounds, solved.minimum.u[0]
    is_open = edges.is_open[0] & ~bounds.is_edge
    low, high = bounds.low.copy(), bounds.high.copy()
    for i, name in enumerate(fit.features.choices):
        ends = np.log(fit.features.fitted[name])
        first, last = (ends - fit.features.mean[i]) / fit.features.scale[i]
        if is_open[i, 0] and low[i] < first < u[i]:
            low[i] = first
        if is_open[i, 1] and u[i] < last < high[i]:
            high[i] = last
    return replace(bounds, low=low, high=high), is_open


def _walls(
    surfaces: Form, bounds: Bounds, level: np.ndarray, moves: np.ndarray
) -> Walls:
    return Walls(surfaces, level, moves, bounds.low, bounds.high, bounds.cut)


def inner(
    family: Family, theta: np.ndarray, s: np.ndarray, bounds: Bounds, level: float
) -> Box | None:
    """The largest box inside one theta's plateau, whose ln loss is up to `level`."""
    theta = theta[None]
    least = arrays.minima(family, theta, s, bounds.low, bounds.high, bounds.cut)
    if not least.value[0] < level:
        return None
    with np.errstate(all="ignore"):
        found = plateau_box.extents(
            form(family, theta, s),
            Minimum(*least),
            bounds.low,
            bounds.high,
            np.array([level]),
            bounds.cut,
        )
    edges, other = np.asarray(found.edges)[0], np.asarray(found.other)[0]
    if not (np.isfinite(edges).all() and np.isfinite(other).all()):
        return None
    walls = _walls(form(family, theta, s), bounds, np.array([level]), np.zeros((1, 2)))
    reach = edges[:, 1] - edges[:, 0]
    # The mean of the four support points is inside a convex set, but where all of them
    # are ends of a chord, the cut.
    middle = 0.25 * (edges.sum(axis=-1) + other.sum(axis=-1)[::-1])
    away = np.zeros(2) if bounds.cut is None else -bounds.cut.normal
    away = away * np.max(reach) / max(float(np.linalg.norm(away)), 1e-300)
    for share in (0.0, *np.exp2(-np.arange(40.0))):
        start = inner_box.small_box(
            walls, middle + share * away, (share or 1.0) * reach
        )
        found = inner_box.largest(walls, start)
        if found is not None or not away.any():
            return found
    return None


class Drawn(NamedTuple):
    """The plateaus of the draws.

    Attributes:
        family: of the draws.
        thetas: of the draws.
        s: the given coordinates.
        limits: the largest ln loss inside, of each draw.
        moves: by which each draw's surface is moved.
        edges: extents of each draw's plateau, not yet moved; NaN where not known.
    """

    family: Family
    thetas: np.ndarray
    s: np.ndarray
    limits: np.ndarray
    moves: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, solved: Solved, tol: float) -> Drawn:
        """Those of a question's draws."""
        return cls(
            solved.fit.family,
            solved.draws(solved.thetas),
            solved.question.s,
            solved.draws(solved.minimum.value) + np.log1p(tol),
            solved.moves,
            solved.draws(solved.edges(tol).edges),
        )

    def form(self, chosen: np.ndarray | slice = slice(None)) -> Form:
        """The surfaces of some of them."""
        return form(self.family, self.thetas[chosen], self.s)

    def inside(
        self, bounds: Bounds, x: np.ndarray, y: np.ndarray
    ) -> Bool[np.ndarray, "x y draws"]:
        """Whether each draw holds each point of a grid."""
        moves = self.moves
        with np.errstate(all="ignore"):
            losses = self.form().on_grid(x - moves[:, :1], y - moves[:, 1:])
        found = np.moveaxis(losses <= self.limits[:, None, None], 0, -1)
        mesh = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
        is_held = bounds.hold(mesh.reshape(-1, 2)).reshape(mesh.shape[:2])
        return found & is_held[..., None]

    def walls(self, bounds: Bounds, kept: np.ndarray) -> Walls:
        """Of some of them."""
        return _walls(self.form(kept), bounds, self.limits[kept], self.moves[kept])


def robust(drawn: Drawn, bounds: Bounds, probability: float) -> Box | None:
    """The largest box that is inside the plateaus of a share of the draws.

    Args:
        drawn: the plateaus.
        bounds: within which.
        probability: the share.
    """
    is_known = np.isfinite(drawn.edges).all(axis=(1, 2)) & np.isfinite(drawn.limits)
    if not is_known.any():
        return None
    # A draw whose plateau is not known holds nothing.
    held = is_known[:, None, None]
    edges = np.where(held, drawn.edges + drawn.moves[:, :, None], [np.inf, -np.inf])
    drawn = drawn._replace(limits=np.where(is_known, drawn.limits, -np.inf))
    span = robust_box.reach(edges, probability)
    if span is None:
        return None
    span = np.stack(
        [np.maximum(span[:, 0], bounds.low), np.minimum(span[:, 1], bounds.high)], 1
    )
    if not (span[:, 0] < span[:, 1]).all():
        return None
    inside, subset = partial(drawn.inside, bounds), partial(drawn.walls, bounds)
    return robust_box.robust_box(inside, subset, span, len(drawn.thetas), probability)


def open_sides(found: Boxes, box: Box) -> np.ndarray:
    """Which sides of a box are the end of what was tested, and no edge."""
    room = found.bounds.high - found.bounds.low
    near = _ON_BOUND * room
    at_low = np.abs(box[:, 0] - found.bounds.low) <= near
    at_high = np.abs(box[:, 1] - found.bounds.high) <= near
    return np.stack([at_low, at_high], axis=1) & found.is_open & (room > 0)[:, None]
