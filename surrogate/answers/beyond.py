"""What answers add for the law's own error beyond the data: `fitting.discrepancy`.

Fits of before it was measured, and of too few cells to measure it, add nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from surrogate.answers.question import Question
from surrogate.base.shapes import Float64
from surrogate.fitting import intervals
from surrogate.fitting.model import Model


class Beyond(NamedTuple):
    """At one question; zeros inside the data.

    Attributes:
        level: half-width that ln loss may be wrong by.
        settings: likewise the optimum, coordinates u.
        moves: steps of each draw's surface, coordinates u.
    """

    level: float
    settings: Float64[np.ndarray, " choices"]
    moves: Float64[np.ndarray, "draws choices"]


def at(question: Question) -> Beyond:
    """What is added at a question."""
    fit = question.fit
    s = log_scales(fit, question.columns)
    unit, law = fit.features.u_scale, fit.discrepancy
    if law is None:
        return Beyond(0.0, 0 * unit, np.zeros((len(fit.draws), len(unit))))
    steps = law.moves(s, len(fit.draws)) / unit
    return Beyond(float(law.level_half(s)[0]), law.settings_half(s)[0] / unit, steps)


def log_scales(
    fit: Model, sizes: Mapping[str, Float64[np.ndarray, " m"]]
) -> Float64[np.ndarray, "m g"]:
    """Ln of the scales that the fit depends on."""
    columns = [np.log(sizes[name]) for name in fit.features.givens]
    count = len(next(iter(sizes.values())))
    return np.stack(columns, axis=1) if columns else np.zeros((count, 0))


def widened(ends: np.ndarray, half: np.ndarray | float) -> np.ndarray:
    """Ends [..., 2] of an interval, its half-width and another one joined.

    Both are as independent as errors of estimation and of the law are.
    """
    middle = ends.mean(axis=-1)
    own = 0.5 * (ends[..., 1] - ends[..., 0])
    whole = np.sqrt(own**2 + half**2)
    return np.stack([middle - whole, middle + whole], axis=-1)


def regret_bound(
    fit: Model, regret: float, draws: Float64[np.ndarray, " draws"]
) -> float:
    """Upper end of [0, upper] of a regret; NaN without draws."""
    return regret_end(fit, regret, intervals.upper(regret, draws))


def regret_end(fit: Model, regret: float, drawn: float) -> float:
    """That end from what draws say of it: with what the form misses, and the law.

    A form misses a share of the excess, as predictions count it, which no draw of the
    form tells. Not under what cells left out were measured to lose at their own
    proposals: their optima lie off the law, and their losses are noisy.
    """
    if not math.isfinite(drawn):
        return drawn
    excess, missed = math.log1p(regret), missed_share(fit)
    sampled = math.log1p(drawn) - excess
    with np.errstate(over="ignore"):
        upper = float(np.expm1(excess + math.hypot(sampled, missed * excess)))
    law = fit.discrepancy
    if law is None or math.isnan(law.regret):
        return upper
    return max(upper, regret + law.regret)


def missed_share(fit: Model) -> float:
    """Of an excess [ln], what the form may miss at most, one-sided; 0 if not known."""
    level = 2 * intervals.LEVEL - 1
    times = intervals.student(fit.fitted_cells, level, fit.freedom)
    return 0.0 if math.isnan(times) else times * float(fit.noise.missed(1.0))
