"""Which fitted cells are near a question, and whether it counts as inside the data.

cellsNear in explorer/assets/beyond.js is the same rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from surrogate.answers.beyond import log_scales
from surrogate.answers.decision.trust import NEAR_CELLS, NEAR_FACTOR
from surrogate.base.shapes import Bool, Float64, Int64
from surrogate.fitting.model import CellRecord, Model

# Forgives the rounding of a ratio of exactly the factor.
_ROUNDING = 1e-9


def cells_near(
    fit: Model, sizes: Mapping[str, Float64[np.ndarray, " m"]], recipes: np.ndarray
) -> Int64[np.ndarray, " m"]:
    """How many cells of its recipe are within a factor of 3 in every fitted size.

    Args:
        fit: what was fitted.
        sizes: params, tokens and further scales of m questions.
        recipes: of each.
    """
    asked = log_scales(fit, sizes)
    cells = [cell for cell in fit.cells if cell.runs > cell.diverged]
    own = np.array([_logs(fit, cell) for cell in cells]).reshape(len(cells), -1)
    of = np.array([cell.recipe for cell in cells])
    off = np.abs(asked[:, None] - own[None])
    is_near = (off <= math.log(NEAR_FACTOR) + _ROUNDING).all(axis=-1)
    return (is_near & (of == recipes[:, None])).sum(axis=1)


def _logs(fit: Model, cell: CellRecord) -> list[float]:
    sizes = {"params": cell.params, "tokens": cell.tokens, **cell.scales}
    return [math.log(sizes[name]) for name in fit.features.givens]


def inside(
    fit: Model,
    sizes: Mapping[str, Float64[np.ndarray, " m"]],
    recipes: np.ndarray,
    distance: Float64[np.ndarray, " m"],
) -> Bool[np.ndarray, " m"]:
    """Whether each question is inside: no farther than 1, and with two cells near.

    Where no size is fitted there is nothing to be near to.
    """
    if not fit.features.givens:
        return distance <= 1
    return (distance <= 1) & (cells_near(fit, sizes, recipes) >= NEAR_CELLS)


def outside_warning(distance: float, near: int) -> str:
    """Why a question is not inside the data."""
    if distance > 1:
        return (
            f"Extrapolation: {distance:.2f} times as far from the data as nine in ten "
            "of its cells are from the others."
        )
    what = ("no fitted cell lies", "only one fitted cell lies")[near]
    return f"Extrapolation: {what} within a factor of {NEAR_FACTOR:.0f} in every size."
