"""Scales of two or three values: how far beyond them the runs tell anything.

Two values tell a slope, which holds between them; three tell a little of how it bends,
and are followed up to ten times beyond. told.js in explorer/assets is the same rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.data.cells import levels
from surrogate.data.extrapolation import HELD_SPAN
from surrogate.fitting.model import Model

# By how many values a scale takes: how far beyond them an answer may go, a factor.
REACH = {2: 1.0, 3: 10.0}
_ROUNDING = 1e-6


class Few(NamedTuple):
    """A fitted scale of few values.

    Attributes:
        number: how many, those within 10 % of each other counted as one.
        low: the smallest fitted.
        high: the largest fitted.
    """

    number: int
    low: float
    high: float

    @property
    def room(self) -> tuple[float, float]:
        """Where answers are given, with 10 % to spare."""
        far = REACH[self.number] * math.exp(HELD_SPAN)
        return self.low / far, self.high * far

    def distance(self, value: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
        """From the middle, 1 at either end [ln]; 0 between them."""
        middle = 0.5 * math.log(self.low * self.high)
        off = np.abs(np.log(value) - middle) / (0.5 * math.log(self.high / self.low))
        return np.where(off > 1 + _ROUNDING, off, 0.0)


def few_levels(fit: Model) -> dict[str, Few]:
    """The fitted scales of two or three values, where a run of a cell finished."""
    cells = [cell for cell in fit.cells if cell.runs > cell.diverged]
    found = {}
    for name in fit.features.givens:
        values = np.array(
            [{"params": c.params, "tokens": c.tokens, **c.scales}[name] for c in cells],
            dtype=np.float64,
        )
        number = int(levels(values, math.expm1(HELD_SPAN)).max()) + 1
        if number in REACH:
            found[name] = Few(number, float(values.min()), float(values.max()))
    return found


def distance(
    fit: Model,
    sizes: Mapping[str, Float64[np.ndarray, " m"]],
    chosen: Mapping[str, Float64[np.ndarray, " m"]],
) -> Float64[np.ndarray, " m"]:
    """How far points lie from the data: `Features.distance`, over 1 beyond few values.

    Args:
        fit: what was fitted.
        sizes: params, tokens and further scales.
        chosen: lr and batch, those that are known.
    """
    further = {n: v for n, v in sizes.items() if n not in ("params", "tokens")}
    parts = [
        fit.features.distance(sizes["params"], sizes["tokens"], further, dict(chosen))
    ]
    parts += [few.distance(sizes[name]) for name, few in few_levels(fit).items()]
    return np.max(parts, axis=0)
