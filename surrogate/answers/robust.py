"""The robust plateau: settings inside the plateau in most draws.

It need be neither convex nor in one piece. A grid over the union of the draws' plateaus
finds the pieces, and each end of the one that is reported is then closed in on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from surrogate.answers import arrays
from surrogate.answers.solved import Solved
from surrogate.base.shapes import Bool, Float64, Int

# Points of the grid along each of one or two coordinates.
_POINTS = {1: 1025, 2: 81}
# A step closes in by this much, on so many points along the edge.
_ZOOM, _ALONG = 8, 64
# So many steps behind the farthest point a tip may still turn out the farthest.
_BACK = 3
# Where an edge is known well enough [ln]: half of 1e-3 octave.
_FINE = 0.5e-3 * math.log(2)
_ROUNDS = 24
# How often the grid is laid anew about a piece that is small against it.
_FOCUS = 4


class Robust(NamedTuple):
    """Settings that are inside the plateau of a share of the draws.

    Attributes:
        probability: that share.
        largest: the most that any setting reaches.
        edges: low and high of each coordinate u; NaN where no setting reaches it.
        pieces: how many separate sets there are on the grid.
    """

    probability: float
    largest: float
    edges: Float64[np.ndarray, "choices 2"]
    pieces: int


def robust(solved: Solved, tol: float, probability: float) -> Robust:
    """Extents of the piece nearest to the optimum.

    Args:
        solved: the minimum of each draw.
        tol: of the plateau.
        probability: share of the draws.
    """
    share = Share(solved, tol)
    axes = _union(solved, tol)
    shares = share.on(axes)
    best = solved.minimum.u[0]
    found = float(shares.max())
    if found < probability:
        axes, shares = _close_in(share, axes, shares, probability)
        found = float(shares.max())
    if found < probability:
        return Robust(probability, found, np.full((len(axes), 2), np.nan), 0)
    mine, pieces = _piece(axes, shares >= probability, best)
    for _ in range(_FOCUS):
        closer = _about(axes, mine)
        if all(2 * np.ptp(a) >= np.ptp(b) for a, b in zip(closer, axes, strict=True)):
            break
        shares = share.on(closer)
        axes, found = closer, max(found, float(shares.max()))
        mine, _ = _piece(axes, shares >= probability, best)
    ends = [
        [_end(share, axes, mine, i, side, probability) for side in (0, 1)]
        for i in range(len(axes))
    ]
    bound = np.array(ends)
    # The optimum is no point of the grid, and is inside where its share says so.
    if share(best[None])[0] >= probability:
        bound[:, 0], bound[:, 1] = (
            np.minimum(bound[:, 0], best),
            np.maximum(bound[:, 1], best),
        )
    return Robust(probability, found, bound, pieces)


def _union(solved: Solved, tol: float) -> list[np.ndarray]:
    """Axes of a grid over the union of the draws' plateaus."""
    edges = solved.draws(solved.edges(tol).edges)
    # A plateau that is moved may leave the box, which no answer does.
    span = solved.bounds.low[:, None], solved.bounds.high[:, None]
    edges = np.clip(edges + solved.moves[:, :, None], *span)
    low, high = np.nanmin(edges[..., 0], axis=0), np.nanmax(edges[..., 1], axis=0)
    return [
        np.linspace(a, b, _POINTS[len(low)]) for a, b in zip(low, high, strict=True)
    ]


@dataclass(frozen=True)
class Share:
    """Share of draws whose plateau holds a u; 0 out of the box or beyond its cut.

    Attributes:
        solved: the minimum of each draw.
        tol: of the plateau.
    """

    solved: Solved
    tol: float

    @cached_property
    def _limits(self) -> Float64[np.ndarray, " draws"]:
        return self.solved.draws(self.solved.minimum.value) + np.log1p(self.tol)

    def __call__(
        self, u: Float64[np.ndarray, "m choices"]
    ) -> Float64[np.ndarray, " m"]:
        """At many u."""
        losses = self.solved.drawn_losses(u)
        inside = np.mean(losses <= self._limits[:, None], axis=0)
        return np.where(self.solved.bounds.hold(u), inside, 0.0)

    def on(self, axes: list[np.ndarray]) -> Float64[np.ndarray, ...]:
        """On the grid of the axes."""
        thetas = self.solved.draws(self.solved.thetas)
        counts = arrays.inside(
            self.solved.fit.family,
            thetas,
            self.solved.question.s,
            axes,
            self.solved.moves,
            self._limits,
        )
        mesh = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        is_held = self.solved.bounds.hold(mesh.reshape(-1, len(axes)))
        return np.where(is_held.reshape(counts.shape), counts / len(thetas), 0.0)


def _close_in(
    share: Share, axes: list[np.ndarray], shares: np.ndarray, probability: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """A finer grid about the largest share, until that reaches what is asked."""
    for _ in range(3):
        at = np.unravel_index(int(shares.argmax()), shares.shape)
        closer = [
            np.linspace(axis[max(k - 2, 0)], axis[min(k + 2, len(axis) - 1)], 33)
            for axis, k in zip(axes, at, strict=True)
        ]
        finer = share.on(closer)
        if finer.max() <= shares.max():
            break
        axes, shares = closer, finer
        if shares.max() >= probability:
            break
    return axes, shares


def _piece(
    axes: list[np.ndarray], is_in: Bool[np.ndarray, ...], best: np.ndarray
) -> tuple[Bool[np.ndarray, ...], int]:
    """The piece of a set that is nearest to the optimum, and how many there are."""
    labels = _labels(is_in)
    pieces = len(np.unique(labels[is_in]))
    return labels == labels[_nearest(axes, is_in, best)], pieces


def _labels(is_in: Bool[np.ndarray, ...]) -> Int[np.ndarray, ...]:
    """A number of each piece, neighbours being a step away on every axis; else -1.

    The largest number of each neighbourhood spreads until every piece has one.
    """
    labels = np.where(is_in, np.arange(is_in.size).reshape(is_in.shape), -1)
    while True:
        spread = labels
        for axis in range(is_in.ndim):
            spread = _largest_beside(spread, axis)
        spread = np.where(is_in, spread, -1)
        if (spread == labels).all():
            return labels
        labels = spread


def _largest_beside(labels: Int[np.ndarray, ...], axis: int) -> Int[np.ndarray, ...]:
    """The largest of each number and its two neighbours along an axis."""
    along = np.moveaxis(labels, axis, 0)
    found = along.copy()
    np.maximum(found[1:], along[:-1], out=found[1:])
    np.maximum(found[:-1], along[1:], out=found[:-1])
    return np.moveaxis(found, 0, axis)


def _about(axes: list[np.ndarray], mine: Bool[np.ndarray, ...]) -> list[np.ndarray]:
    """As fine a grid over a piece and three steps each way, its points among them."""
    at = np.argwhere(mine)
    closer = []
    for i, axis in enumerate(axes):
        first, last = max(at[:, i].min() - 3, 0), min(at[:, i].max() + 3, len(axis) - 1)
        # Whole steps of the old grid hold whole steps of the new one.
        fold = max((len(axis) - 1) // (last - first), 1)
        closer.append(np.linspace(axis[first], axis[last], fold * (last - first) + 1))
    return closer


def _nearest(
    axes: list[np.ndarray], is_in: Bool[np.ndarray, ...], best: np.ndarray
) -> tuple[int, ...]:
    """The grid point inside that is the fewest steps from the optimum."""
    # An axis that is held has no length.
    steps = [axis[1] - axis[0] or 1.0 for axis in axes]
    points = np.argwhere(is_in)
    start = np.array([axis[0] for axis in axes])
    off = points - (best - start) / steps
    return tuple(points[np.argmin((off**2).sum(axis=1))].tolist())


def _end(
    share: Share,
    axes: list[np.ndarray],
    mine: Bool[np.ndarray, ...],
    i: int,
    side: int,
    probability: float,
) -> float:
    """How far the piece goes along coordinate i: a window about its farthest point.

    The window is a step of the grid wide along i; across, it holds the points of the
    piece within some steps of that end, and a step more.
    """
    sign = 1 if side else -1
    at = np.argwhere(mine)
    far = int((at[:, i] * sign).max()) * sign
    inner, step = float(axes[i][far]), float(axes[i][1] - axes[i][0])
    # Of two tips the farther one may seem the nearer by some steps.
    ends = at[at[:, i] * sign >= far * sign - _BACK]
    across = [_window(axes[j], ends[:, j]) for j in range(len(axes)) if j != i]
    for _ in range(_ROUNDS):
        if step <= _FINE:
            break
        along = inner + sign * step * np.arange(1, _ZOOM + 1) / _ZOOM
        window = [np.linspace(*span, _ALONG) for span in across]
        window.insert(i, along)
        inside = np.moveaxis(share.on(window) >= probability, i, 0)
        reached = np.flatnonzero(inside.reshape(_ZOOM, -1).any(axis=1))
        # A thin tip slips between points of the grid and may be longer than its step.
        if not (reached.size and reached[-1] == _ZOOM - 1):
            step /= _ZOOM
        if reached.size:
            inner = float(along[reached[-1]])
            tips = inside[max(reached[-1] - _BACK, 0) : reached[-1] + 1].any(axis=0)
            across = [
                _window(axis, np.flatnonzero(tips))
                for j, axis in enumerate(window)
                if j != i
            ]
    return inner


def _window(axis: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """From a step before the first point inside to a step after the last."""
    step = axis[1] - axis[0]
    return float(axis[inside.min()] - step), float(axis[inside.max()] + step)
