"""What a choice of (lr, batch) loses, and how probable it is on the plateau."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from surrogate.answers import beyond, stability_edge
from surrogate.answers.alone import alone
from surrogate.answers.context import context_of
from surrogate.answers.decision.answered import Answered
from surrogate.answers.decision.deferred import answered, undecided
from surrogate.answers.extents import Wanted, check_tol
from surrogate.answers.limits import carry
from surrogate.answers.limits.offers import not_told
from surrogate.answers.limits.sides import say
from surrogate.answers.limits.unfitted import unfitted, untried_choice
from surrogate.answers.question import Question, Range, Values
from surrogate.answers.results import UNKNOWN, Regret
from surrogate.answers.robust import Share
from surrogate.answers.sided import Sided, solve_sides
from surrogate.answers.solved import loss_of, solve_box
from surrogate.base.errors import DataError, Status
from surrogate.base.shapes import Float64
from surrogate.data.coordinates import CHOICES
from surrogate.fitting import intervals

Choice = Mapping[str, float]
# Choices at once: each is a number a draw.
_BLOCK = 4096


class Judged(NamedTuple):
    """What a choice is compared with.

    Attributes:
        sided: the minimum over a box that holds the choice.
        untold: settings of which the runs show no best, and why.
        said: warnings.
    """

    sided: Sided
    untold: dict[str, str]
    said: tuple[str, ...]


def regret(question: Question, choice: Choice, wanted: Wanted) -> Regret:
    """The loss at a choice over the lowest of the box, with a one-sided interval.

    Beyond the stability edge a choice may lose nothing, but it is outside the plateau.
    """
    unknown = unfitted(question)
    if unknown is not None:
        said = unknown, *carry.offer(question)
        return _no_regret(question, wanted.tol, choice, *said)
    far = untried_choice(question, choice)
    if far is not None:
        return _no_regret(question, wanted.tol, choice, far)
    why = untold(question, choice)
    if len(why) == len(question.fit.features.choices):
        return _no_regret(question, wanted.tol, choice, " ".join(why.values()))
    return _answer(judged(question, choice, why), choice, wanted)


def untold(question: Question, choice: Choice) -> dict[str, str]:
    """Settings of which the runs show no best, though they are fitted, and why."""
    fit = question.fit
    lacking = {n: v for n, v in choice.items() if n not in fit.features.choices}
    return {name: text for name, text in not_told(question, lacking).items() if text}


def judged(question: Question, choice: Choice, why: dict[str, str]) -> Judged:
    """The minimum that a choice is held against."""
    lacking = {n: choice[n] for n in CHOICES if n not in question.fit.features.choices}
    box, said = _widened(question, choice)
    for name, text in why.items():
        box[name] = (choice[name], choice[name])
        said += (f"{text} The regret is that of the other setting alone.",)
    sided = solve_sides(question, box, lacking)
    if sided.one_sided:
        for name, side in sided.one_sided.items():
            ends = sorted((side.at, choice[name]))
            box[name] = (ends[0], ends[1])
        sided = sided._replace(solved=solve_box(question, box, lacking))
        said += tuple(say(name, side) for name, side in sided.one_sided.items())
    return Judged(sided, why, said)


def _answer(found: Judged, choice: Choice, wanted: Wanted) -> Regret:
    solved, one_sided, _ = found.sided
    fit, question, best = solved.fit, solved.question, solved.best
    risk = stability_edge.risk(question, choice)
    extra = found.said + stability_edge.choice_warnings(question, risk)
    u = fit.features.u_of(choice)
    is_stable = bool(solved.bounds.hold(u[None])[0])
    log_loss = float(solved.log_losses(u[None])[0])
    # np: beyond a float64 it is infinite, which `check_loss` refuses.
    with np.errstate(over="ignore"):
        lost = float(np.expm1(log_loss - solved.value))
    draws = solved.drawn_regrets(u)
    status = found.sided.status
    context = context_of(question, choice, status, choice, extra, one_sided)
    told = Answered(
        *(solved, one_sided, context.distance, "choice", wanted.limits),
        tol=wanted.tol,
        choice=choice,
    )
    return Regret(
        context=context,
        lr=float(choice["lr"]),
        batch=float(choice["batch"]),
        loss=loss_of(fit, log_loss),
        loss_min=loss_of(fit, solved.minimum.value[0]),
        regret=max(lost, 0.0),
        level=intervals.LEVEL,
        upper=math.nan
        if one_sided
        else beyond.regret_bound(fit, max(lost, 0.0), draws),
        is_inside=_inside(is_stable and lost <= wanted.tol, bool(one_sided)),
        probability_inside=(
            float(np.mean(draws <= wanted.tol)) * is_stable
            if len(draws) and not one_sided
            else math.nan
        ),
        tol=wanted.tol,
        stability=risk,
        optimum=(best["lr"], best["batch"]),
        change={
            # Of a setting of which no best is shown there is none to change to.
            name: None
            if name in found.untold
            else alone(solved, choice, name, wanted.tol, solved.box[name])
            for name in CHOICES
        },
        deferred=answered(told),
    )


def _inside(is_near: bool, is_one_sided: bool) -> bool | None:
    """Whether a choice is on the plateau; None where that is not known.

    Of one side the best that was tried is no minimum: what is near to it may still lose
    more than the tolerance, and what is not loses it for certain.
    """
    return None if is_near and is_one_sided else is_near


def probability_inside(
    question: Question, lr: Values, batch: Values, tol: float
) -> Float64[np.ndarray, " m"]:
    """The share of draws whose plateau holds each choice; NaN where there is none.

    Raises:
        DataError: a number is not positive, lengths differ, or `tol` is not in (0, 1].
    """
    check_tol(tol)
    choices = _choices(lr, batch)
    found = np.full(len(choices), np.nan)
    if not len(question.fit.draws) or unfitted(question) is not None:
        return found
    for rows in _grouped(question, choices):
        some = [choices[row] for row in rows]
        found[rows] = _probabilities(question, some, tol)
    return found


def _choices(lr: Values, batch: Values) -> list[dict[str, float]]:
    """One a row."""
    columns = (
        np.atleast_1d(np.asarray(lr, float)),
        np.atleast_1d(np.asarray(batch, float)),
    )
    try:
        pairs = np.stack(np.broadcast_arrays(*columns), axis=-1)
    except ValueError as error:
        shapes = " and ".join(str(column.shape) for column in columns)
        raise DataError(
            f"Expected lr and batch of one length, got shapes {shapes}."
        ) from error
    if pairs.ndim != 2:
        raise DataError(
            f"Expected lr and batch as lists of numbers, got shape {pairs.shape[:-1]}. "
            "Flatten them."
        )
    if not len(pairs):
        raise DataError("Expected at least one choice of lr and batch, got none.")
    bad = np.flatnonzero(~(np.isfinite(pairs) & (pairs > 0)).all(axis=1))
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"Expected lr and batch as positive numbers, got {pairs[row, 0]:g} and "
            f"{pairs[row, 1]:g} in row {row}."
        )
    return [dict(zip(CHOICES, pair, strict=True)) for pair in pairs.tolist()]


def _grouped(question: Question, choices: list[dict[str, float]]) -> list[list[int]]:
    """Rows that are held against one minimum: but for sides, which it tells itself."""
    fit = question.fit
    groups: dict[Any, list[int]] = {}
    why = untold(question, choices[0])
    for row, choice in enumerate(choices):
        key = tuple(
            choice[name]
            if name in why or name not in fit.features.choices
            else float(np.clip(choice[name], *question.box[name]) - choice[name])
            for name in CHOICES
        )
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _probabilities(
    question: Question, choices: list[dict[str, float]], tol: float
) -> Float64[np.ndarray, " m"]:
    """Of choices of one group."""
    why = untold(question, choices[0])
    if len(why) == len(question.fit.features.choices):
        return np.full(len(choices), np.nan)
    # Of a group all that is not fitted is one value.
    if untried_choice(question, choices[0]) is not None:
        return np.full(len(choices), np.nan)
    sided = judged(question, choices[0], why).sided
    if sided.one_sided:
        # The plateau is about a best that no run tells.
        return np.full(len(choices), np.nan)
    columns = {name: np.array([one[name] for one in choices]) for name in CHOICES}
    u, share = question.fit.features.u_of(columns), Share(sided.solved, tol)
    blocks = (u[i : i + _BLOCK] for i in range(0, len(u), _BLOCK))
    return np.concatenate([share(some) for some in blocks])


def _no_regret(question: Question, tol: float, choice: Choice, *why: str) -> Regret:
    """The choice, and why nothing is known of it."""
    status = Status.not_identifiable
    context = context_of(question, choice, status, choice, why)
    return Regret(
        context=context,
        lr=choice["lr"],
        batch=choice["batch"],
        loss=math.nan,
        loss_min=math.nan,
        regret=math.nan,
        level=intervals.LEVEL,
        upper=math.nan,
        is_inside=False,
        probability_inside=math.nan,
        tol=tol,
        stability=None,
        optimum=UNKNOWN,
        change=dict.fromkeys(CHOICES),
        deferred=undecided(question, "choice", " ".join(why), context.distance),
    )


def _widened(
    question: Question, choice: Choice
) -> tuple[dict[str, Range], tuple[str, ...]]:
    """The box, stretched to hold the choice, so that no regret is negative."""
    box, extra = dict(question.box), ()
    for name in question.fit.features.choices:
        low, high = box[name]
        value = choice[name]
        if not low <= value <= high:
            box[name] = min(low, value), max(high, value)
            extra += (
                f"{name} = {value:g} lies outside {low:g} to {high:g}, where the "
                "optimum is sought; the search was widened to hold it.",
            )
    return box, extra
