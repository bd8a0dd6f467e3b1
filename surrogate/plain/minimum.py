"""The lowest points of many surfaces over a box, in NumPy: `solve` without a compiler.

Steps, what ends them and the certificate are `solve`'s own functions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from surrogate import solve
from surrogate.families import Family
from surrogate.plain.surface import Surface, surfaces
from surrogate.solve import Box, Local, Search


class Lowest(NamedTuple):
    """Of every theta at every place.

    Attributes:
        u: where.
        value: ln loss there.
        certified: the gap is at most `solve.CERTIFIED_GAP`.
    """

    u: Float64[np.ndarray, "R C choices"]
    value: Float64[np.ndarray, "R C"]
    certified: Bool[np.ndarray, "R C"]


def lowest(
    family: Family,
    theta: Float64[np.ndarray, "R p"],
    s: Float64[np.ndarray, "C g"],
    low: Float64[np.ndarray, " choices"],
    high: Float64[np.ndarray, " choices"],
) -> Lowest:
    """Minimise over one box."""
    choices = len(low)
    ends = np.zeros((2, 2))
    ends[:, :choices] = low, high
    box = Box(*(np.asarray(end) for end in ends.T.ravel()))
    middle = ends.mean(axis=0)
    with np.errstate(all="ignore"):
        found = _search(surfaces(family, theta, s), (len(theta), len(s)), middle, box)
    u = np.stack([found.x, found.y], axis=-1)[..., :choices]
    return Lowest(u, found.at.value, found.gap <= solve.CERTIFIED_GAP)


def _search(
    surface: Surface, shape: tuple[int, int], start: np.ndarray, box: Box
) -> Search:
    zero = np.zeros(shape)
    now = Search(
        zero + start[0],
        zero + start[1],
        Local(*[zero] * 6),
        zero,
        zero + np.inf,
        np.zeros(shape, int),
        np.zeros(shape, bool),
    )
    for _ in range(solve.MAX_STEPS):
        if now.is_done.all():
            break
        after = solve.advance(surface, box, now)
        now = _kept(now.is_done, now, after)
    return now


def _kept(is_done: np.ndarray, now: Search, after: Search) -> Search:
    """What was done stays as it was."""

    def pick(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.where(is_done, old, new)

    at = Local(*(pick(a, b) for a, b in zip(now.at, after.at, strict=True)))
    rest = {
        name: pick(getattr(now, name), getattr(after, name))
        for name in ("x", "y", "share", "gap", "steps", "is_done")
    }
    return Search(at=at, **rest)
