"""The t interval that an honest regression started at the truth would give.

Its parameters are those of ln L about the true optimum: the level with the scales, the
shift of the optimum along lr and batch and the stretch of the bowl along both, each
with the scales, a twist and skews, as many as the fit had. Least squares with the true
covariance; the scale of the noise counts as estimated, so that Student's t of
runs - parameters degrees of freedom applies.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from simulation.small_designs import CELL_LEVEL, Grid
from simulation.small_truths import Truth

LEVEL = 0.95
# A column that others explain but for this share says nothing of its own.
_ALIKE = 1e-3
_STEP = 1e-4
# Coordinates of `Truth.log_loss`'s move, and what a regression needs first.
_MOVES = (
    *("shift lr", "shift batch", "stretch lr", "stretch batch"),
    *("twist", "skew lr", "skew batch"),
)
_FIRST = ("level", "shift lr", "stretch lr", "shift batch", "stretch batch")
# A draw identifies an optimum where the reference sees the bowl's curvature with 95 %
# power at 2.5 % one-sided, and holds the optimum within a factor of 2.
_POWER, _FACTOR = 0.95, 2.0


class Reference(NamedTuple):
    """Of one direction.

    Attributes:
        width: of the interval of the ln optimum; NaN where there is none.
        is_identified: whether this sweep can tell the optimum.
    """

    width: float
    is_identified: bool


def reference(
    truth: Truth,
    grid: Grid,
    kept: np.ndarray,
    sd: np.ndarray,
    asked: tuple[float, float],
    parameters: int | None,
) -> dict[str, Reference]:
    """Widths for lr and batch at the sizes asked.

    Args:
        truth: what runs were drawn from.
        grid: where they stand.
        kept: runs that tell of the surface.
        sd: of each run's noise in ln loss.
        asked: params and tokens.
        parameters: how many the fit had; None, where there is none: all that tell.
    """
    grid, sd = Grid(*(column[kept] for column in grid)), sd[kept]
    names, columns = _columns(truth, grid, asked)
    used = _independent(columns)
    used = used[: parameters or len(used)]
    design = columns[:, used]
    freedom = len(sd) - max(parameters or 0, len(used))
    none = Reference(math.nan, False)
    if freedom < 1 or not np.isfinite(design).all():
        return {"lr": none, "batch": none}
    root = np.linalg.inv(np.linalg.cholesky(_covariance(grid, sd)))
    weighted = root @ design
    covariance = np.linalg.pinv(weighted.T @ weighted)
    found = [names[k] for k in used]
    quantile = float(stats.t.ppf(0.5 + LEVEL / 2, freedom))
    needed = quantile + float(stats.t.ppf(_POWER, freedom))
    answers = {}
    for name in ("lr", "batch"):
        at, stretch = f"shift {name}", f"stretch {name}"
        if at not in found or stretch not in found or not truth.has_best[name]:
            answers[name] = none
            continue
        # Slopes over the scales are 0 at the sizes asked: `scales` are relative to it.
        half = quantile * math.sqrt(covariance[found.index(at), found.index(at)])
        spread = math.sqrt(covariance[found.index(stretch), found.index(stretch)])
        # The curvature is proportional to exp(2 stretch).
        seen = 1 / (2 * spread) >= needed if spread > 0 else True
        inside = _is_inside(truth, grid, name, half)
        answers[name] = Reference(
            2 * half, bool(seen and inside and half <= math.log(_FACTOR))
        )
    return answers


def _is_inside(truth: Truth, grid: Grid, name: str, half: float) -> bool:
    """Whether the optimum lies in the tested range, in the middle of the sizes."""
    best = {"lr": truth.lr, "batch": truth.batch}[name](grid.params, grid.tokens)
    off = np.log(getattr(grid, name)) - best
    return bool(off.min() + half < 0 < off.max() - half)


def _columns(
    truth: Truth, grid: Grid, asked: tuple[float, float]
) -> tuple[list[str], np.ndarray]:
    """Derivatives of ln L, by name, most needed first."""
    sizes = grid.lr, grid.batch, grid.params, grid.tokens
    scales = [np.log(grid.params / asked[0]), np.log(grid.tokens / asked[1])]
    moves = {}
    for k, name in enumerate(_MOVES):
        step = np.zeros(len(_MOVES))
        step[k] = _STEP
        up, down = truth.log_loss(*sizes, step), truth.log_loss(*sizes, -step)
        moves[name] = (up - down) / (2 * _STEP)
    moves["level"] = np.ones_like(grid.lr)
    columns = {name: moves[name] for name in _FIRST}
    for s, scale in enumerate(scales):
        slopes = ("level", "shift lr", "shift batch")
        columns |= {f"{name} {s}": moves[name] * scale for name in slopes}
    columns |= {name: moves[name] for name in _MOVES[4:]}
    for s, scale in enumerate(scales):
        columns |= {f"{name} {s}": moves[name] * scale for name in _MOVES[2:4]}
    return list(columns), np.stack(list(columns.values()), axis=1)


def _independent(columns: np.ndarray) -> list[int]:
    """Columns that those before them do not explain."""
    basis: list[np.ndarray] = []
    used = []
    for k, column in enumerate(columns.T):
        size = np.linalg.norm(column)
        rest = column.copy()
        for each in basis * 2:
            rest = rest - each * (each @ rest)
        if size > 0 and np.linalg.norm(rest) > _ALIKE * size:
            basis.append(rest / np.linalg.norm(rest))
            used.append(k)
    return used


def _covariance(grid: Grid, sd: np.ndarray) -> np.ndarray:
    same = (grid.params[:, None] == grid.params) & (grid.tokens[:, None] == grid.tokens)
    return np.diag(sd**2) + CELL_LEVEL**2 * same
