"""Sizes that the fitted runs say nothing of: what did not vary, or moved with another.

A scale that was left out of a fit holds within 10 % of what was fitted, and one of two
or three values not far beyond them (`levels`): elsewhere nothing tells how the optimum
moves with it, and no answer is given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from surrogate.answers.limits.levels import Few, few_levels
from surrogate.answers.nearest import nearest_to
from surrogate.answers.question import Question
from surrogate.base.shapes import Float64
from surrogate.base.units import format_count, format_lr, format_tokens_exact
from surrogate.data.coordinates import CHOICES
from surrogate.data.extrapolation import HELD_SPAN, Line
from surrogate.fitting.model import CellRecord, Model

# Values that lie further apart about a line of sizes do not follow it [ln].
_ABOUT = math.log(2.0)


def unfitted(question: Question) -> str | None:
    """Why these sizes have no answer, and what can be asked; None if they have one."""
    return unfitted_at(question.fit, question.columns)[0]


def nearest_fitted(question: Question) -> dict[str, float]:
    """The sizes nearest to a question's that the runs tell of."""
    fit, sizes = question.fit, question.sizes
    for name, few in few_levels(fit).items():
        low, high = few.room
        if not low <= sizes[name] <= high:
            sizes[name] = min(max(sizes[name], few.low), few.high)
    given = [math.log(sizes[name]) for name in fit.features.givens]
    for name in fit.features.held:
        if name in sizes and name not in CHOICES:
            line = fit.features.lines[name]
            centre = _centre(line.slopes, given)
            off = math.log(sizes[name]) - centre
            if not line.low <= off <= line.high:
                low, high = fit.features.fitted[name]
                end = min(max(off, line.low), line.high)
                exact = low if off < line.low else high
                sizes[name] = math.exp(centre + end) if line.slopes else exact
    return sizes


def unfitted_at(
    fit: Model, sizes: Mapping[str, Float64[np.ndarray, " m"]]
) -> list[str | None]:
    """The same of many sizes, one entry a row.

    refusedSizes in explorer/assets/told.js is the same rule.
    """
    features = fit.features
    found: list[str | None] = [None] * len(sizes["params"])
    s = [np.log(sizes[name]) for name in features.givens]
    for name in features.held:
        if name in CHOICES or name not in sizes:
            continue
        distance = features.lines[name].distance(np.log(sizes[name]), s)
        for row in np.flatnonzero(distance > 1):
            if found[row] is None:
                given = [float(column[row]) for column in s]
                value = float(sizes[name][row])
                found[row] = _sentence(fit, name, value, given, tuple(sizes))
    for name, few in few_levels(fit).items():
        low, high = few.room
        outside = (sizes[name] < low) | (sizes[name] > high)
        for row in np.flatnonzero(outside):
            if found[row] is None:
                found[row] = _beyond(name, float(sizes[name][row]), few)
    return found


def _beyond(name: str, value: float, few: Few) -> str:
    """How far few values of a size tell."""
    how = (
        "between them and not beyond"
        if few.number == 2
        else "up to 10 times beyond them"
    )
    return (
        f"{name} takes {few.number} values in the fitted runs ({_shown(few.low)} to "
        f"{_shown(few.high)}), which tell how the optimum moves {how}, and "
        f"{_shown(value)} cannot be answered. Ask nearer to them, or add runs at "
        f"other {name} and fit again."
    )


def _centre(slopes: tuple[float, ...], given: list[float]) -> float:
    """Where a line lies at given coordinates [ln]."""
    pairs = zip(slopes, given, strict=False)
    return sum((slope * each for slope, each in pairs), 0.0)


def _sentence(
    fit: Model, name: str, value: float, given: list[float], known: tuple[str, ...]
) -> str:
    """What a size follows in the fitted runs, and where it can be asked."""
    line = fit.features.lines[name]
    centre = _centre(line.slopes, given)
    low, high = (math.exp(centre + end) for end in (line.low, line.high))
    is_one = high <= 1.001 * low
    at = _shown(low) if is_one else f"{_shown(low)} to {_shown(high)}"
    others = [other for other in fit.features.givens if other in known]
    why = (
        f"moves with {' and '.join(others[: len(line.slopes)])} in the fitted runs"
        if line.slopes
        else "does not vary in the fitted runs, or between recipes only"
    )
    return (
        f"{name} {why}, so they do not tell how the optimum moves with it, and "
        f"{_shown(value)} cannot be answered. Ask at {name} {at}, or add "
        f"runs at other {name} and fit again."
    )


def _shown(value: float) -> str:
    return format_count(value) if value >= 1 else f"{value:.4g}"


def untried_choice(question: Question, given: Mapping[str, float]) -> str | None:
    """Why a setting that the fit does not see has no answer there; None if it has.

    One batch in all runs tells the best lr at that batch. At another one the best lr
    moves, as a root or in proportion, and the loss with it, by what no run tells.
    """
    fit = question.fit
    for name, value in given.items():
        if name in fit.features.choices or not math.isfinite(value):
            continue
        column = np.array([float(value)])
        names = np.array([question.recipe])
        if untried_at(fit, name, column, question.columns, names)[0]:
            return untried_words(fit, name, value, question.recipe)
    return None


def untried_at(
    fit: Model,
    name: str,
    values: Float64[np.ndarray, " m"],
    sizes: Mapping[str, Float64[np.ndarray, " m"]],
    recipe: np.ndarray,
) -> np.ndarray:
    """Which of many values of a setting that is not fitted no run stands for.

    A setting may follow the sizes from cell to cell: what counts is how far it lies off
    that line, in cells that tell the other setting, and whether the nearest of these
    has it. One that follows nothing was tried at the nearest cell's values only.
    """
    found = np.zeros(len(values), dtype=bool)
    for own in np.unique(recipe).tolist():
        cells = telling(fit, name, own)
        if not cells:
            continue
        rows = recipe == own
        line = followed(fit, name, own)
        given = [np.log(sizes[other][rows]) for other in fit.features.givens]
        off = None if line is None else line.distance(np.log(values[rows]), given)
        found[rows] = True if off is None else off > 1
        for row in np.flatnonzero(found & rows):
            at = {other: float(column[row]) for other, column in sizes.items()}
            nearest = nearest_to(cells, at, own)
            # They are of this recipe, and there are some.
            assert nearest is not None
            near = np.log(cells[nearest].levels(name))
            found[row] = np.abs(near - math.log(values[row])).min() > HELD_SPAN
    return found


def followed(fit: Model, name: str, recipe: str) -> Line | None:
    """What a setting follows in the cells that tell the other; None if it does not."""
    cells = telling(fit, name, recipe)
    if not cells:
        return None
    names = fit.features.givens
    sizes = [{"params": c.params, "tokens": c.tokens, **c.scales} for c in cells]
    own = [np.log(cell.levels(name)) for cell in cells]
    count = [len(each) for each in own]
    logs = [np.repeat(np.log([each[n] for each in sizes]), count) for n in names]
    values = np.concatenate(own)
    is_one = np.ptp(values) < HELD_SPAN or len(cells) <= len(names)
    line = Line.of(values, () if is_one else logs)
    return line if line.span <= _ABOUT else None


def telling(fit: Model, name: str, recipe: str) -> list[CellRecord]:
    """Cells of a recipe that tell the other setting."""
    other = "lr" if name == "batch" else "batch"
    return [c for c in fit.cells if c.recipe == recipe and len(c.levels(other)) > 1]


def untried_words(fit: Model, name: str, value: float, recipe: str) -> str:
    """Why a value of a setting has no answer, and what can be asked."""
    other = "lr" if name == "batch" else "batch"
    at = tried_words(fit, name, recipe)
    return (
        f"The runs that tell the best {other} have a {name} of {at}, and nothing tells "
        f"how the loss and the best {other} move with {name}: "
        f"{_setting(name, value)} cannot be answered. Ask at the {name} of those "
        f"nearest in size, or add runs of several {other} at yours."
    )


def tried_words(fit: Model, name: str, recipe: str) -> str:
    """What values of a setting stand in the runs that tell the other one."""
    every = [x for c in telling(fit, name, recipe) for x in c.levels(name)]
    low, high = min(every), max(every)
    if high <= low * math.exp(HELD_SPAN):
        return _setting(name, low)
    how = "as their sizes go" if followed(fit, name, recipe) else "each size its own"
    return f"{_setting(name, low)} to {_setting(name, high)}, {how}"


def _setting(name: str, value: float) -> str:
    if name == "lr":
        return format_lr(value)
    return f"{format_tokens_exact(round(value))} tokens"
