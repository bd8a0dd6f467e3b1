"""The largest box whose four corners are inside in the same share of the draws.

Each draw's plateau is convex, so in those draws the whole box is inside. Which draws
those are is no convex question: a coarse grid of boxes finds where to begin, then the
best box of the draws that hold it and the draws of the best box are found in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from surrogate.base.shapes import Bool, Float64
from surrogate.numerics.inner_box import Box, Walls, largest, slack

# Lines of the grid each way, how many of its boxes are improved, and how often.
_LINES, _STARTS, _ROUNDS, _ZOOMS = 21, 2, 8, 4
# The log of the area may fall short by so much, and a round must gain as much.
_GAIN = 1e-3
# Where a better box is looked for about one: so many places of each side, so far away.
_OFFSETS, _NEAR = 9, 0.16

Inside = Callable[[np.ndarray, np.ndarray], Bool[np.ndarray, "x y draws"]]
Subset = Callable[[Bool[np.ndarray, " draws"]], Walls]


def needed(draws: int, probability: float) -> int:
    """How many draws make the share."""
    return max(math.ceil(probability * draws - 1e-9), 1)


def interval(
    edges: Float64[np.ndarray, "draws 2"], probability: float
) -> Float64[np.ndarray, " 2"] | None:
    """The widest interval that lies in the intervals of a share of the draws."""
    edges = edges[np.isfinite(edges).all(axis=1)]
    count = needed(len(edges), probability)
    best, found = 0.0, None
    order = np.argsort(edges[:, 0], kind="stable")
    for i in range(count - 1, len(order)):
        low = edges[order[i], 0]
        high = np.sort(edges[order[: i + 1], 1])[i + 1 - count]
        if high - low > best:
            best, found = high - low, np.array([low, high])
    return found


def reach(edges: Float64[np.ndarray, "draws 2 2"], probability: float) -> Box | None:
    """Ends that no box in a share of the draws passes; None where they cross."""
    count = needed(len(edges), probability)
    low = np.sort(edges[..., 0], axis=0)[count - 1]
    high = np.sort(edges[..., 1], axis=0)[len(edges) - count]
    found = np.stack([low, high], axis=1)
    return found if (high > low).all() and np.isfinite(found).all() else None


def robust_box(
    inside: Inside, subset: Subset, span: Box, draws: int, probability: float
) -> Box | None:
    """The box, (low, high) of each coordinate; None where no four corners are so safe.

    Args:
        inside: which draws hold each point of a grid.
        subset: the walls of some of the draws.
        span: where to look.
        draws: how many there are.
        probability: the share of them.
    """
    count = needed(draws, probability)
    starts = _starts(inside, span, draws, count)
    every = subset(np.ones(draws, bool))
    best, area = None, 0.0
    for start in starts:
        box = _improved(subset, every, start, count)
        if box is not None and _area(box) > area:
            best, area = box, _area(box)
    # A box that trades some draws for others may lie close by.
    for _ in range(_ROUNDS):
        nearby = None if best is None else _nearby(inside, best, count)
        box = None if nearby is None else _improved(subset, every, nearby, count)
        if box is None or _area(box) <= area * (1 + _GAIN):
            break
        best, area = box, _area(box)
    return best


def _nearby(inside: Inside, box: Box, count: int) -> Box | None:
    """The largest box whose sides are near those of one; None where none is larger."""
    sides = box[:, 1] - box[:, 0]
    offsets = np.linspace(-_NEAR, _NEAR, _OFFSETS)
    lines = box[:, :, None] + sides[:, None, None] * offsets
    is_in = inside(lines[0].ravel(), lines[1].ravel())
    bits = _bits(is_in).reshape(2, _OFFSETS, 2, _OFFSETS, -1)
    # Both x of a box, at each y; then both y: [x low, x high, y low, y high].
    both = bits[0][:, None] & bits[1][None]
    held = np.zeros((_OFFSETS,) * 4, np.int64)
    for word in range(bits.shape[-1]):
        low, high = both[..., 0, :, word], both[..., 1, :, word]
        held += np.bitwise_count(low[..., :, None] & high[..., None, :])
    widths, heights = (part[1][None] - part[0][:, None] for part in lines)
    areas = np.where(held >= count, widths[..., None, None] * heights, 0.0)
    at = np.unravel_index(int(areas.argmax()), areas.shape)
    if not areas[at] > _area(box):
        return None
    a, b, c, d = at
    return np.array(
        [[lines[0, 0, a], lines[0, 1, b]], [lines[1, 0, c], lines[1, 1, d]]]
    )


def _area(box: Box) -> float:
    return float(np.prod(box[:, 1] - box[:, 0]))


def _improved(subset: Subset, every: Walls, start: Box, count: int) -> Box | None:
    """Best box of the draws that hold a box, then the draws of that, in turn."""
    box, area = None, 0.0
    now, known = start, slack(every, start)
    for _ in range(_ROUNDS):
        kept = np.zeros(len(known), bool)
        # The draws that hold it with most to spare.
        kept[np.argsort(-known, kind="stable")[:count]] = True
        if not (known[kept] >= 0).all():
            break
        found = largest(subset(kept), now, _GAIN)
        if found is None or _area(found) <= area * (1 + _GAIN):
            break
        box, area = found, _area(found)
        now, known = found, slack(every, found)
    return box


def _starts(inside: Inside, span: Box, draws: int, count: int) -> list[Box]:
    """The largest boxes of a grid that enough draws hold, each of another shape."""
    for _ in range(_ZOOMS):
        axes = [np.linspace(ends[0], ends[1], _LINES) for ends in span]
        is_in = inside(*axes)
        held = _held(is_in)
        i, j = np.triu_indices(_LINES, 1)
        areas = np.outer(axes[0][j] - axes[0][i], axes[1][j] - axes[1][i])
        areas = np.where(held >= count, areas, 0.0)
        if areas.max() > 0:
            return _several(areas, axes, i, j)
        at = np.unravel_index(int(is_in.sum(axis=-1).argmax()), is_in.shape[:2])
        span = np.array(
            [
                [axis[max(k - 1, 0)], axis[min(k + 1, _LINES - 1)]]
                for axis, k in zip(axes, at, strict=True)
            ]
        )
    return []


def _several(
    areas: np.ndarray, axes: list[np.ndarray], i: np.ndarray, j: np.ndarray
) -> list[Box]:
    """The largest box, and the largest of those that are elsewhere or of other form."""
    found: list[Box] = []
    areas = areas.copy()
    steps = np.stack([i, j], axis=1)
    for _ in range(_STARTS):
        p, q = np.unravel_index(int(areas.argmax()), areas.shape)
        if areas[p, q] <= 0:
            break
        found.append(
            np.array([[axes[0][i[p]], axes[0][j[p]]], [axes[1][i[q]], axes[1][j[q]]]])
        )
        near_x = (np.abs(steps - steps[p]) <= 2).all(axis=1)
        near_y = (np.abs(steps - steps[q]) <= 2).all(axis=1)
        areas[np.ix_(near_x, near_y)] = 0
    return found


def _bits(is_in: Bool[np.ndarray, "x y draws"]) -> np.ndarray:
    """Draws as bits of whole numbers."""
    bits = np.packbits(is_in, axis=-1)
    pad = -bits.shape[-1] % 8
    return np.pad(bits, ((0, 0), (0, 0), (0, pad))).view(np.uint64)


def _held(is_in: Bool[np.ndarray, "x y draws"]) -> np.ndarray:
    """How many draws hold all four corners, of every pair of x and pair of y."""
    bits = _bits(is_in)
    i, j = np.triu_indices(_LINES, 1)
    both = bits[i] & bits[j]
    found = np.zeros((len(i), len(i)), np.int64)
    for word in range(bits.shape[-1]):
        part = both[..., word]
        found += np.bitwise_count(part[:, i] & part[:, j])
    return found
