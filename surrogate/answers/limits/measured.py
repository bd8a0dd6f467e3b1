"""The best measured level, where runs are too few to show a fitted optimum."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from surrogate.answers.nearest import nearest_cell
from surrogate.answers.question import Question
from surrogate.base.units import (
    format_count,
    format_lr,
    format_percent,
    format_tokens_exact,
)
from surrogate.data import Runs
from surrogate.data.coordinates import CHOICES

# Settings nearer than this [ln] are one level.
_SAME = 0.01


class Measured(NamedTuple):
    """A level of one setting with worse ones on both sides.

    Attributes:
        name: lr or batch.
        settings: lr and batch of the run.
        levels: how many ran beside it.
        rise: loss at the lowest and at the highest level over the best, minus 1.
        sizes: params and tokens of its cell.
    """

    name: str
    settings: dict[str, float]
    levels: int
    rise: tuple[float, float]
    sizes: tuple[float, float]

    def __str__(self) -> str:
        """For people."""
        where = format_lr(self.settings["lr"])
        batch = f"{format_tokens_exact(round(self.settings['batch']))} tokens"
        at = f"a batch of {batch}"
        if self.name == "batch":
            where, at = batch, f"lr {where}"
        params, tokens = (format_count(size) for size in self.sizes)
        low, high = (format_percent(rise) for rise in self.rise)
        return (
            f"Of {self.levels} values of {self.name} that ran at {at} ({params} "
            f"parameters, {tokens} tokens) {where} is the best; the lowest is {low} "
            f"worse, the highest {high}: a measured level, not a fitted optimum."
        )


def best_measured(
    question: Question, names: Collection[str], held: Mapping[str, float]
) -> Measured | None:
    """The lowest loss of the nearest cell, if it lies inside at least three levels.

    Args:
        question: where, of a fit with its runs.
        names: the settings of which no best is shown; the first that has an inner
            level counts.
        held: settings that are given.
    """
    runs = question.fit.runs
    if runs is None:
        return None
    index = nearest_cell(runs.cells, question)
    return None if index is None else measured_in(runs, index, names, held)


def measured_in(
    runs: Runs, index: int, names: Collection[str], held: Mapping[str, float]
) -> Measured | None:
    """The same of one cell."""
    columns = {"lr": runs.lr_level, "batch": runs.batch}
    rows = np.flatnonzero((runs.cell == index) & runs.usable)
    for name, value in held.items():
        rows = rows[np.abs(np.log(columns[name][rows] / value)) < _SAME]
    if not rows.size:
        return None
    best = rows[runs.loss[rows].argmin()]
    for name in (n for n in CHOICES if n in names):
        (other,) = (n for n in CHOICES if n != name)
        line = rows[columns[other][rows] == columns[other][best]]
        level = np.unique(columns[name][line])
        at = columns[name][best]
        if len(level) < 3 or not level[0] < at < level[-1]:
            continue
        ends = [runs.loss[line][columns[name][line] == end].min() for end in level]
        low, high = (float(end / runs.loss[best] - 1) for end in (ends[0], ends[-1]))
        cell = runs.cells[index]
        return Measured(
            name,
            {n: float(columns[n][best]) for n in CHOICES},
            len(level),
            (low, high),
            (cell.params, cell.tokens),
        )
    return None
