"""A minimum that is kept to what was tried, where the best lies beyond it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from surrogate.answers.limits.sides import Side, opened, sides
from surrogate.answers.question import Question, Range
from surrogate.answers.results import Pair
from surrogate.answers.solved import Solved, choice_intervals, solve_box
from surrogate.base.errors import Status
from surrogate.data.coordinates import CHOICES, WIDEN
from surrogate.fitting.model import Model


class Sided(NamedTuple):
    """A minimum kept to what was tried.

    Attributes:
        solved: the minimum.
        one_sided: the settings of which one side only is told.
        intervals: of all settings, open where nothing was tried.
    """

    solved: Solved
    one_sided: dict[str, Side]
    intervals: dict[str, Pair]

    @property
    def status(self) -> Status:
        """That of the minimum; an answer of which one side is told is at a bound."""
        status = self.solved.status
        return Status.at_bound if status is Status.ok and self.one_sided else status


def solve_sides(
    question: Question, box: Mapping[str, Range], held: Mapping[str, float]
) -> Sided:
    """Minimise, kept to what was tried where the best lies beyond it."""
    fit, solved = question.fit, solve_box(question, box, held)
    intervals = choice_intervals(solved)
    for i, name in enumerate(fit.features.choices):
        # The surface is lower still beyond the edge of stability: no upper end is told.
        if solved.on_edge[i] or (name == "lr" and solved.is_cut):
            intervals[name] = (intervals[name][0], math.nan)
    free = {n: v for n, v in held.items() if n in fit.features.choices}
    found: dict[str, Side] = {}
    if np.isfinite(solved.value):
        found = sides(question, solved.best, intervals, free, solved.is_cut)
    asked = {n for n in CHOICES if question.box[n] != default_box(fit, n)}
    found = {name: side for name, side in found.items() if name not in asked}
    if not found:
        for name in fit.features.choices:
            ends = intervals[name]
            intervals[name] = opened(question, name, solved.best[name], ends)
        return Sided(solved, found, intervals)
    kept = {name: (side.at, side.at) for name, side in found.items()}
    solved = solve_box(question, {**box, **kept}, held)
    intervals = choice_intervals(solved)
    for name, side in found.items():
        above = side.side == "above"
        intervals[name] = (side.than, math.nan) if above else (math.nan, side.than)
    return Sided(solved, found, intervals)


def default_box(fit: Model, name: str) -> Range:
    """Where a setting is sought by default: the fitted range, widened."""
    low, high = fit.features.fitted[name]
    return low / WIDEN, high * WIDEN
