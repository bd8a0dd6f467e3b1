"""Whether lr and batch were tried together anywhere near the best of both.

Where the one follows the other in nearly all runs, a surface of both is laid through a
line of settings, and its optimum may lie far beside that line: within the range of each
setting, and of no run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float64

from surrogate.answers.limits.sides import nearest_cells
from surrogate.answers.question import Question
from surrogate.base.units import format_lr, format_tokens_exact
from surrogate.data.coordinates import CHOICES
from surrogate.fitting.model import Model

# Beyond all pairs that were tried by more than this [ln]: an octave.
APART = math.log(2.0)
# Pairs of so many places at most are told apart.
_MOST = 300


def untried(
    question: Question,
    best: Mapping[str, float],
    at: Mapping[str, float],
) -> str | None:
    """Why an answer is far from every pair that was tried; None if it is not.

    Args:
        question: where, of a fit with its runs.
        best: of the surface, natural units.
        at: the answer, which is not that where one side only is told.
    """
    fit = question.fit
    if fit.runs is None or fit.features.choices != CHOICES:
        return None
    places = [_tried(fit, index) for index in nearest_cells(question, "batch")]
    off = np.concatenate([np.zeros((0, 2)), *places])
    off = off - [math.log(at[name] / best[name]) for name in CHOICES]
    if len(off) < 3:
        return None
    apart = _distance(np.unique(np.round(off, 9), axis=0))
    if apart <= APART:
        return None
    return (
        f"No run stood near both at once: lr {format_lr(at['lr'])} with a batch of "
        f"{format_tokens_exact(round(at['batch']))} tokens lies a factor of "
        f"{math.exp(apart):.2g} from every pair that was tried or lies between some. "
        "Lr and batch hardly vary apart in these runs: hold one of them, or add runs "
        "of several lr at one batch."
    )


def _tried(fit: Model, index: int) -> Float64[np.ndarray, "n 2"]:
    """Settings of a cell's runs from its own fitted optimum [ln]."""
    runs, around = fit.runs, fit.cells[index].around
    assert runs is not None
    tried = (runs.cell == index) & (runs.usable | runs.diverged)
    columns = []
    for name, values in (("lr", runs.lr_level), ("batch", runs.batch)):
        logs = np.log(values[tried])
        columns.append(logs - logs.max() + around[name][1])
    return np.stack(columns, axis=1)


def _distance(points: Float64[np.ndarray, "n 2"]) -> float:
    """From the origin to the hull of some points; 0 inside."""
    angle = np.sort(np.arctan2(points[:, 1], points[:, 0]))
    gaps = np.diff(np.append(angle, angle[0] + 2 * np.pi))
    if gaps.max() <= np.pi:
        return 0.0
    return min(_to_segments(points))


def _to_segments(points: Float64[np.ndarray, "n 2"]) -> Iterator[float]:
    near = np.argsort((points**2).sum(axis=1), kind="stable")[:_MOST]
    for k in near:
        along = points[near] - points[k]
        length = np.maximum((along**2).sum(axis=1), 1e-300)
        share = np.clip(-(along @ points[k]) / length, 0.0, 1.0)
        foot = points[k] + share[:, None] * along
        yield float(np.sqrt((foot**2).sum(axis=1).min()))
