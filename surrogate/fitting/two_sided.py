"""Whether the loss falls towards the optimum and rises beyond it, whatever its shape.

A wall is convex and no parabola: a second-degree polynomial misses it by more than the
noise and then shows no curvature. Here each side has a slope of its own, over the runs
of lines (one cell, one value of the other setting) without the one nearest to the
optimum. An optimum is seen where both slopes lead to it, each at 2.5 %, one-sided.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from surrogate.base.chances import student
from surrogate.base.shapes import Float64
from surrogate.data.coordinates import Rows

_ONE_SIDED = 0.025
# Share of the excess by which a run's noise grows, beside that at the optimum.
_GROWTH = 0.1


class Near(NamedTuple):
    """A fit of few cells about its optimum.

    Attributes:
        off: settings of the runs from the fitted optimum of their cell.
        excess: fitted ln loss over that of the optimum.
        variance: of the noise at the optimum.
        freedom: with which that is known.
    """

    off: Float64[np.ndarray, "n choices"]
    excess: Float64[np.ndarray, " n"]
    variance: float
    freedom: int


def is_seen(near: Near, rows: Rows, axis: int) -> bool:
    """Whether both sides of the optimum along one setting lead to it."""
    variance = near.variance + (_GROWTH * near.excess) ** 2
    needed = student(1 - _ONE_SIDED, near.freedom)
    for side in (-1.0, 1.0):
        score, information = 0.0, 0.0
        for line in _lines(near, rows, axis):
            mine = line[side * near.off[line, axis] > 0]
            if len(mine) < 2:
                continue
            weight = 1 / variance[mine]
            x = side * near.off[mine, axis]
            x = x - weight @ x / weight.sum()
            score += float(weight @ (x * rows.target[mine]))
            information += float(weight @ x**2)
        if not information > 0 or score / np.sqrt(information) < needed:
            return False
    return True


def _lines(near: Near, rows: Rows, axis: int) -> list[np.ndarray]:
    """Runs of one cell that share the other setting, without that nearest by."""
    others = np.delete(near.off, axis, axis=1)
    place = np.round(np.column_stack([rows.cell, others]), 9)
    _, at = np.unique(place, axis=0, return_inverse=True)
    at = np.ravel(at)
    found = []
    for k in range(at.max() + 1):
        line = np.flatnonzero(at == k)
        nearest = np.abs(near.off[line, axis]).min()
        found.append(line[np.abs(near.off[line, axis]) > nearest])
    return found
