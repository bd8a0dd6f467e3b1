"""A surface of two half parabolas along one setting: where its optimum would be.

Families are smooth through the optimum. Where a wall begins there, the curvature jumps,
and a smooth form puts the optimum beside it. How far the optimum of halves lies from
the fitted one, as far as the runs prefer halves, counts as an error of the form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64, Int64
from surrogate.data.coordinates import level_columns

# Of the distance, what counts as a standard deviation where halves are much better.
_SHARE = 0.6
_BETTER = 0.3, 0.7
_PLACES = 61
_REACH = 0.5
_BISECTIONS = 16
_GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)


def shift(
    off: Float64[np.ndarray, "n choices"],
    cell: Int64[np.ndarray, " n"],
    s: Float64[np.ndarray, "n g"],
    target: Float64[np.ndarray, " n"],
    weights: Float64[np.ndarray, " n"],
    axis: int,
) -> float:
    """A standard deviation of the fitted optimum along one setting [ln].

    Least squares with a level a cell (of the scales, where runs share none), halves
    along `axis` that meet at a place of their own, and along the other setting a slope,
    halves and a twist. The best place counts where it lowers the sum of squares much:
    in full to 0.3 of that at the fitted optimum, not at all above 0.7.

    Args:
        off: settings from the fitted optimum of the run's cell [ln].
        cell: of each run.
        s: its scales.
        target: its ln loss.
        weights: of the fit.
        axis: the setting.
    """
    x = off[:, axis]
    span = float(np.ptp(x))
    ends = max(x.min(), -_REACH * span), min(x.max(), _REACH * span)
    if not ends[0] < 0 < ends[1]:
        return 0.0
    model = _Halves(
        x,
        _others(off, cell, s, axis),
        off[:, [1 - axis]] if off.shape[1] == 2 else off[:, :0],
        target,
        np.sqrt(weights / weights.max()),
    )
    place = model.best(*ends)
    if place is None:
        return 0.0
    now = model.squares(0.0)
    known = np.isfinite(now) and now > 0
    ratio = model.squares(place) / now if known else 0.0
    trust = float(np.interp(ratio, _BETTER, (1.0, 0.0)))
    return _SHARE * trust * abs(place)


class _Halves(NamedTuple):
    """Two half parabolas along one setting.

    Attributes:
        x: the setting of each run [ln].
        others: columns that do not move with the place.
        cross: the other setting, if there is one.
        target: ln loss.
        root: of the weights.
    """

    x: Float64[np.ndarray, " n"]
    others: Float64[np.ndarray, "n _"]
    cross: Float64[np.ndarray, "n _"]
    target: Float64[np.ndarray, " n"]
    root: Float64[np.ndarray, " n"]

    def squares(self, place: float) -> float:
        """Sum of squares where the halves meet there; infinity where one opens down."""
        t = (self.x - place)[:, None]
        halves = np.concatenate([t**2 * (t < 0), t**2 * (t > 0)], axis=1)
        columns = np.concatenate([self.others, t * self.cross, halves], axis=1)
        columns, target = columns * self.root[:, None], self.target * self.root
        found = np.linalg.lstsq(columns, target, rcond=1e-10)[0]
        if (found[-2:] <= 0).any():
            return np.inf
        left = target - columns @ found
        return float(left @ left)

    def best(self, low: float, high: float) -> float | None:
        """Where they had best meet; None where they open down everywhere."""
        grid = np.linspace(low, high, _PLACES)
        values = np.array([self.squares(place) for place in grid.tolist()])
        best = int(values.argmin())
        if not np.isfinite(values[best]):
            return None
        ends = grid[max(best - 1, 0)], grid[min(best + 1, _PLACES - 1)]
        return _lowest(self.squares, *map(float, ends))


def _others(
    off: np.ndarray, cell: np.ndarray, s: np.ndarray, axis: int
) -> Float64[np.ndarray, "n _"]:
    levels = level_columns(cell, s)
    if off.shape[1] == 1:
        return levels
    y = off[:, [1 - axis]]
    return np.concatenate([levels, y, y**2 * (y < 0), y**2 * (y > 0)], axis=1)


def _lowest(function: Callable[[float], float], low: float, high: float) -> float:
    """Golden section."""
    a, b = low, high
    for _ in range(_BISECTIONS):
        reach = _GOLDEN * (b - a)
        left, right = b - reach, a + reach
        if function(left) <= function(right):
            b = right
        else:
            a = left
    return 0.5 * (a + b)
