"""Sizes that the fitted runs say nothing of: what did not vary, or moved with another.

A scale that was left out of a fit holds within 10 % of what was fitted: elsewhere
nothing tells how the optimum moves with it, and no answer is given.
"""

from __future__ import annotations

import math

import numpy as np

from surrogate.features import CHOICES
from surrogate.query.fit import Fit
from surrogate.query.question import Question
from surrogate.units import format_count


def unfitted(fit: Fit, question: Question) -> str | None:
    """Why these sizes have no answer, and what can be asked; None if they have one."""
    features = fit.features
    sizes = {"params": question.params, "tokens": question.tokens, **question.scales}
    s = [np.log(np.array([sizes[name]])) for name in features.givens]
    for name in features.held:
        if name in CHOICES or name not in sizes:
            continue
        line = features.lines[name]
        log = np.log(np.array([sizes[name]]))
        if line.distance(log, s)[0] <= 1:
            continue
        pairs = zip(line.slopes, s, strict=False)
        centre = sum((slope * float(each[0]) for slope, each in pairs), 0.0)
        low, high = (math.exp(centre + end) for end in (line.low, line.high))
        is_one = high <= 1.001 * low
        at = _shown(low) if is_one else f"{_shown(low)} to {_shown(high)}"
        others = [given for given in features.givens if given in sizes]
        why = (
            f"moves with {' and '.join(others[: len(line.slopes)])} in the fitted runs"
            if line.slopes
            else "does not vary in the fitted runs, or between recipes only"
        )
        return (
            f"{name} {why}, so they do not tell how the optimum moves with it, and "
            f"{_shown(sizes[name])} cannot be answered. Ask at {name} {at}, or add "
            f"runs at other {name} and fit again."
        )
    return None


def _shown(value: float) -> str:
    return format_count(value) if value >= 1 else f"{value:.4g}"
