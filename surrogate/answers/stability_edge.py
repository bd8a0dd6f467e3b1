"""Where training is stable enough, as answers use it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from surrogate.answers.question import Question
from surrogate.base.shapes import Bool, Float64
from surrogate.numerics.half_plane import Cut

# Rounding by which a setting on a bound may seem beyond it [coordinates u, logit].
_SLACK = 1e-9


@dataclass(frozen=True)
class Bounds:
    """The box that is searched, in coordinates u, and what divergence takes from it.

    Attributes:
        low: lower bounds.
        high: upper bounds.
        cut: a half-plane; None in one coordinate, whose bound it moves, and where the
            edge is not known.
        is_edge: which bounds, low and high, are the edge's and not the box's.
        is_beyond: all of the box lies beyond the edge, which is then left out.
    """

    low: Float64[np.ndarray, " choices"]
    high: Float64[np.ndarray, " choices"]
    cut: Cut | None
    is_edge: Bool[np.ndarray, "choices 2"]
    is_beyond: bool

    def hold(self, u: Float64[np.ndarray, "m choices"]) -> Bool[np.ndarray, " m"]:
        """Whether each u is in the box and on the stable side, but for rounding."""
        is_held = ((self.low - _SLACK <= u) & (u <= self.high + _SLACK)).all(axis=1)
        if self.cut is not None:
            is_held &= u @ self.cut.normal <= self.cut.bound + _SLACK
        return np.asarray(is_held)


def bounds(
    question: Question,
    low: Float64[np.ndarray, " choices"],
    high: Float64[np.ndarray, " choices"],
    known: Mapping[str, float],
) -> Bounds:
    """A box cut by the stability edge; `known` are settings that the fit lacks."""
    line = _line(question, known)
    none = np.zeros((len(low), 2), dtype=bool)
    if line is None:
        return Bounds(low, high, None, none, False)
    normal, room = line
    least = float(np.minimum(normal * low, normal * high).sum())
    if least >= room:
        return Bounds(low, high, None, none, True)
    if len(normal) == 2:
        return Bounds(low, high, Cut(normal, np.array(room)), none, False)
    # The one coordinate is ln lr, whose slope is positive.
    end = room / normal
    is_edge = np.array([[False, bool(end[0] < high[0])]])
    return Bounds(low, np.minimum(high, end), None, is_edge, False)


def _line(
    question: Question, known: Mapping[str, float]
) -> tuple[np.ndarray, float] | None:
    """Normal in coordinates u and what its product with u may reach."""
    fit = question.fit
    stability = fit.stability
    names = fit.features.choices
    where = question.sizes | dict(known)
    if stability is None or "lr" not in names:
        return None
    if any(name not in (*where, *names) for name in stability.names):
        return None
    slopes, room = stability.limit(where, names, question.p_max)
    if slopes["lr"] <= 0:
        return None
    slope = np.array([slopes[name] for name in names])
    mean = np.asarray(fit.features.mean[: len(names)])
    return slope * fit.features.u_scale, room - float(slope @ mean)


def risk(question: Question, at: Mapping[str, float]) -> dict[str, float | None] | None:
    """Probability of divergence there; None where the runs cannot tell."""
    stability = question.fit.stability
    if stability is None or not all(map(math.isfinite, at.values())):
        return None
    where = question.sizes | dict(at)
    if any(name not in where for name in stability.names):
        return None
    octaves = float(stability.octaves_to_edge(where, question.p_max))
    return {
        "probability": float(stability.probability(where)),
        "octaves_to_edge": octaves if math.isfinite(octaves) else None,
        "p_max": question.p_max,
    }


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def warnings_of(question: Question, is_cut: bool, is_beyond: bool) -> tuple[str, ...]:
    """What the edge did to an answer."""
    if is_beyond:
        return (
            f"Everywhere in the box training diverges with more than "
            f"{_percent(question.p_max)} probability by the fitted runs: the edge was "
            "left out. Lower --lr-range.",
        )
    if is_cut:
        return (
            "The lowest loss within the stability edge lies on it: beyond, the surface "
            "is lower still, but training diverges with more than "
            f"{_percent(question.p_max)} probability.",
        )
    return ()


def choice_warnings(
    question: Question, risk: Mapping[str, float | None] | None
) -> tuple[str, ...]:
    """Whether a setting that was given is likely to diverge."""
    probability = (risk or {}).get("probability")
    if probability is None or probability <= question.p_max:
        return ()
    return (
        f"At this setting training diverges with probability {probability:.2g}, above "
        f"{_percent(question.p_max)}: the loss holds only for runs that finish.",
    )
