"""How sure the answer at the target is: before a plan, and after each of its runs."""

from __future__ import annotations

import math

import numpy as np

from surrogate.answers.planned import Standing
from surrogate.answers.planning.target import Target
from surrogate.answers.results import UNKNOWN, Pair
from surrogate.answers.solved import loss_of
from surrogate.base.shapes import Float64
from surrogate.families.forms import form
from surrogate.fitting import intervals

_LEAST = 1e-12
# Of a standard normal, 10 % lie beyond.
_TAIL = 1.2816


def standing(
    target: Target,
    before: Float64[np.ndarray, "rows rows"],
    now: Float64[np.ndarray, "rows rows"],
) -> Standing:
    """Intervals and regret after the covariance of the target's rows became `now`.

    Args:
        target: where.
        before: that covariance without a run.
        now: with some.
    """
    choices = len(target.shift)
    half = target.multiple * np.sqrt(np.maximum(np.diag(now), 0.0))
    # What the law itself may be wrong by, of which runs elsewhere tell nothing.
    wrong = target.solved.beyond
    unit = target.fit.features.u_scale
    half[:choices] = np.hypot(half[:choices], wrong.settings * unit)
    if not target.carries:
        half[2 * choices] = np.hypot(half[2 * choices], wrong.level)
    ends: dict[str, Pair] = {"lr": UNKNOWN, "batch": UNKNOWN}
    factors = {"lr": math.nan, "batch": math.nan}
    for i, name in enumerate(target.fit.features.choices):
        at = target.u[i]
        ends[name] = float(np.exp(at - half[i])), float(np.exp(at + half[i]))
        factors[name] = float(np.exp(half[i]))
    value = target.solved.minimum.value[0]
    loss = UNKNOWN
    if not target.carries:
        loss = (
            loss_of(target.fit, value - half[2 * choices]),
            loss_of(target.fit, value + half[2 * choices]),
        )
    own = slice(0, choices)
    upper = _upper(target, before[own, own], now[own, own])
    freedom = target.fit.freedom or len(target.fit.leaves) - 3
    low, high = (upper * share for share in variance_range(freedom))
    return Standing(
        lr=ends["lr"],
        batch=ends["batch"],
        loss=loss,
        lr_factor=factors["lr"],
        batch_factor=factors["batch"],
        regret=0.5 * float(np.sum(target.hessian * now[own, own])),
        regret_upper=upper,
        regret_range=(low, high),
    )


def variance_range(freedom: int) -> Pair:
    """Between what shares of itself a variance is estimated, in 80 % of cases.

    Chi square over its degrees of freedom; a regret is as a variance.

    Source: Wilson and Hilferty 1931.
    """
    spread = 2 / (9 * max(freedom, 1))
    low, high = (
        max(1 - spread + z * math.sqrt(spread), 0.0) ** 3 for z in (-_TAIL, _TAIL)
    )
    return low, high


def _upper(
    target: Target,
    before: Float64[np.ndarray, "choices choices"],
    now: Float64[np.ndarray, "choices choices"],
) -> float:
    """95 % of draws lose no more at the fit's optimum than this.

    Draws are those of `Fit.regret`, moved as there; runs bring their optima closer to
    the fit's by the linear map that turns the one covariance into the other.
    """
    solved, fit = target.solved, target.fit
    scale = fit.features.u_scale
    thetas = solved.draws(solved.thetas)
    u = solved.draws(solved.minimum.u)
    off = (u + solved.moves - solved.minimum.u[0]) * scale
    off = off + _unseen(target, before, len(off))
    closer = off @ (np.linalg.inv(_root(before)).T @ _root(now).T) / scale
    place = u - closer
    y = place[:, 1] if len(scale) == 2 else np.zeros(len(place))
    with np.errstate(all="ignore"):
        values = form(fit.family, thetas, target.question.s).value(place[:, 0], y)
        lost = np.expm1(values - solved.draws(solved.minimum.value))
    return intervals.upper(0.0, np.maximum(lost, 0.0))


def _unseen(
    target: Target, before: np.ndarray, count: int
) -> Float64[np.ndarray, "draws choices"]:
    """What draws do not hold of a covariance: places by a law, or of another lab."""
    choices = len(target.shift)
    u = target.solved.leaves(target.solved.minimum.u) * target.fit.features.u_scale
    at = target.solved.minimum.u[0] * target.fit.features.u_scale
    own = intervals.standard_error(at, u) ** 2
    more = np.maximum(np.diag(before) - own, 0.0)
    if (more <= 1e-6 * np.diag(before)).all():
        return np.zeros((count, choices))
    normal = np.random.default_rng(choices).normal(size=(count, choices))
    return normal * np.sqrt(more)


def _root(covariance: Float64[np.ndarray, "k k"]) -> Float64[np.ndarray, "k k"]:
    """A square root that exists also where rounding left none."""
    least = _LEAST * max(float(np.trace(covariance)), _LEAST)
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    return vectors * np.sqrt(np.maximum(values, least)) @ vectors.T
