"""Whether lr and batch were tried together anywhere near the best of both.

Where the one follows the other in nearly all runs, a surface of both is laid through a
line of settings, and its optimum may lie far beside that line: within the range of each
setting, and of no run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from surrogate.answers.limits.sides import nearest_cells
from surrogate.answers.question import Question
from surrogate.base.shapes import Float64
from surrogate.base.units import format_lr, format_tokens_exact
from surrogate.data.coordinates import CHOICES
from surrogate.fitting.model import Model

# Beyond all pairs that were tried by more than this [ln]: an octave.
APART = math.log(2.0)
# Digits to which places of pairs are told apart [ln].
_DIGITS = 6
Point = tuple[float, float]


def untried(
    question: Question, best: Mapping[str, float], at: Mapping[str, float]
) -> str | None:
    """Why an answer is far from every pair that was tried; None if it is not.

    Args:
        question: where, of a fit with its runs.
        best: of the surface, natural units.
        at: the answer, which is not that where one side only is told.
    """
    fit = question.fit
    near = nearest_cells(question, "batch")
    corners = hull([point for index in near for point in tried_pairs(fit, index)])
    if len(corners) < 2:
        return None
    x, y = (math.log(at[name] / best[name]) for name in CHOICES)
    apart = _distance([(a - x, b - y) for a, b in corners])
    if apart <= APART:
        return None
    return (
        f"No run stood near both at once: lr {format_lr(at['lr'])} with a batch of "
        f"{format_tokens_exact(round(at['batch']))} tokens lies a factor of "
        f"{math.exp(apart):.2g} from every pair that was tried or lies between some. "
        "Lr and batch hardly vary apart in these runs: hold one of them, or add runs "
        "of several lr at one batch."
    )


def tried_pairs(fit: Model, index: int) -> list[Point]:
    """Corners of a cell's settings, from its own fitted optimum [ln]."""
    runs, around = fit.runs, fit.cells[index].around
    if runs is None or fit.features.choices != CHOICES or set(around) < {*CHOICES}:
        return []
    tried = (runs.cell == index) & (runs.usable | runs.diverged)
    columns = []
    for name, values in (("lr", runs.lr_level), ("batch", runs.batch)):
        logs = np.log(values[tried])
        columns.append(logs - logs.max(initial=-math.inf) + around[name][1])
    return hull(np.stack(columns, axis=1).tolist())


def hull(points: Sequence[Sequence[float]]) -> list[Point]:
    """Corners of the convex hull, against the clock; both ends of a line."""
    ordered = sorted({(round(x, _DIGITS), round(y, _DIGITS)) for x, y in points})
    if len(ordered) < 3:
        return ordered
    return _half(ordered) + _half(ordered[::-1])


def _half(points: Sequence[Point]) -> list[Point]:
    """One side of a hull (Andrew's monotone chain), without its last corner."""
    kept: list[Point] = []
    for point in points:
        while len(kept) > 1 and _turn(kept[-2], kept[-1], point) <= 0:
            kept.pop()
        kept.append(point)
    return kept[:-1]


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _distance(corners: Sequence[Point]) -> float:
    """From the origin to a hull; 0 inside."""
    sides = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    if len(corners) > 2 and all(_turn(a, b, (0.0, 0.0)) >= 0 for a, b in sides):
        return 0.0
    return min(_to_segment(np.array(a), np.array(b)) for a, b in sides)


def _to_segment(
    a: Float64[np.ndarray, " two"], b: Float64[np.ndarray, " two"]
) -> float:
    along = b - a
    length = max(float(along @ along), 1e-300)
    share = min(max(float(-a @ along) / length, 0.0), 1.0)
    return float(np.linalg.norm(a + share * along))
