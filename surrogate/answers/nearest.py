"""The cell nearest to a question: one rule for answers, figures and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from surrogate.answers.question import Question
from surrogate.base.shapes import Float64
from surrogate.data.cells import Cell
from surrogate.fitting.model import CellRecord

Cells: TypeAlias = Sequence[Cell] | Sequence[CellRecord]
# Distances that differ by less than this are a tie: far above rounding, which differs
# between here and the page, and far below what tells two cells apart.
_TIE = 1e-9


def distances(cells: Cells, question: Question) -> Float64[np.ndarray, " cells"]:
    """Return how far each cell is: Euclidean, in ln of params, tokens and all scales.

    Infinity for a cell of another recipe.
    """
    return _distances(cells, question.sizes, question.recipe)


def nearest_cell(cells: Cells, question: Question) -> int | None:
    """Return the index of the cell of the question's recipe that is nearest to it.

    None where no cell is of that recipe.
    """
    return nearest_to(cells, question.sizes, question.recipe)


def nearest_to(cells: Cells, sizes: Mapping[str, float], recipe: str) -> int | None:
    """Return the index of the cell of a recipe that is nearest to these sizes.

    The first of equally near ones; None where no cell is of that recipe. nearestCell
    in explorer/assets/told.js is the same rule.
    """
    off = _distances(cells, sizes, recipe)
    if not np.isfinite(off).any():
        return None
    return int(np.flatnonzero(off <= off.min() + _TIE)[0])


def _distances(
    cells: Cells, sizes: Mapping[str, float], recipe: str
) -> Float64[np.ndarray, " cells"]:
    return np.array([_distance(cell, sizes, recipe) for cell in cells])


def _distance(
    cell: Cell | CellRecord, asked: Mapping[str, float], recipe: str
) -> float:
    if cell.recipe != recipe:
        return math.inf
    sizes = {"params": cell.params, "tokens": cell.tokens, **dict(cell.scales)}
    return math.hypot(*(math.log(sizes[n] / value) for n, value in asked.items()))
