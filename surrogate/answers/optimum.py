"""The learning rate and batch size of the lowest loss."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from surrogate.answers import stability_edge
from surrogate.answers.checks import check_positive
from surrogate.answers.context import context_of
from surrogate.answers.decision.answered import Answered
from surrogate.answers.decision.deferred import answered, undecided
from surrogate.answers.decision.document import Limits
from surrogate.answers.limits.offers import not_told, offer, untried
from surrogate.answers.limits.sides import say, say_open
from surrogate.answers.limits.unfitted import unfitted
from surrogate.answers.question import Question
from surrogate.answers.results import (
    UNKNOWN,
    Certificate,
    Optimum,
)
from surrogate.answers.sided import Sided, solve_sides
from surrogate.answers.solved import (
    certificate,
    held_settings,
    loss_interval,
    loss_of,
    only_levels,
    point_only,
    solve_box,
)
from surrogate.base.errors import DataError, Status
from surrogate.data.coordinates import CHOICES
from surrogate.fitting.intervals import LEVEL
from surrogate.fitting.model import Model


def optimum(
    question: Question,
    *,
    batch: float | None = None,
    lr: float | None = None,
    batch_multiple: float | None = None,
    limits: Limits | None = None,
) -> Optimum:
    """The lowest loss over the box, or along a held lr or batch."""
    held = _held(lr, batch, batch_multiple)
    unknown = unfitted(question)
    if unknown is not None:
        return refused(question, unknown)
    _check_choice(question.fit, held)
    held = only_levels(question.fit) | held
    far = untried(question, held)
    if far is not None:
        return refused(question, *far)
    why = not_told(question, held)
    if why:
        return refused(question, *offer(question, why, held))
    is_bounded = False
    if batch_multiple is not None:
        _check_free(question.fit)
        held["batch"], is_bounded = _multiple(question, held, batch_multiple)
    box = question.box | {name: (value, value) for name, value in held.items()}
    sided = solve_sides(question, box, held)
    return _stated(sided, held, is_bounded, limits or Limits())


def _held(
    lr: float | None, batch: float | None, batch_multiple: float | None
) -> dict[str, float]:
    """What is held, checked.

    Raises:
        DataError: nothing is left to choose, or batch is both held and chosen.
    """
    held = held_settings(lr, batch)
    if len(held) == len(CHOICES):
        raise DataError(
            "Expected at most one of lr and batch, got both, so nothing is left to "
            "choose. Ask for the regret of the pair."
        )
    if batch_multiple is not None:
        check_positive("batch_multiple", batch_multiple)
        if "batch" in held:
            raise DataError(
                "Expected batch_multiple or a batch, got both. Leave one of them out."
            )
    return held


def _stated(
    sided: Sided, held: Mapping[str, float], is_bounded: bool, limits: Limits
) -> Optimum:
    """The answer of a minimum."""
    solved, one_sided = sided.solved, sided.one_sided
    question, fit = solved.question, solved.fit
    best = solved.best | {name: side.at for name, side in one_sided.items()}
    intervals = sided.intervals | dict.fromkeys(held, UNKNOWN)
    status = sided.status
    if status is Status.ok and is_bounded:
        status = Status.at_bound
    extra = solved.edge_warnings
    extra += tuple(say(name, side) for name, side in one_sided.items())
    extra += tuple(
        text
        for name in fit.features.choices
        if name not in one_sided and name not in held
        for text in say_open(question, name, best[name], intervals[name])
    )
    context = context_of(question, best, status, held, extra, one_sided)
    return Optimum(
        context=context,
        lr=best["lr"],
        batch=best["batch"],
        loss=loss_of(fit, solved.minimum.value[0]),
        level=LEVEL,
        lr_interval=intervals["lr"],
        batch_interval=intervals["batch"],
        loss_interval=loss_interval(solved),
        certificate=certificate(solved),
        stability=stability_edge.risk(question, best),
        deferred=answered(
            Answered(solved, one_sided, context.distance, "suggestion", limits)
        ),
    )


def _check_choice(fit: Model, held: Mapping[str, float]) -> None:
    """Refuse to hold one setting where all runs share the other.

    Raises:
        DataError: nothing is left to choose.
    """
    for name, level in only_levels(fit).items():
        other = "lr" if name == "batch" else "batch"
        if other in held and name not in held:
            shared = f"lr {level:.3g}"
            if name == "batch":
                shared = f"a batch of {level:,.0f} tokens"
            raise DataError(
                f"Expected no {other}, since all fitted runs have {shared}, so that "
                "nothing is left to choose: leave it out, or ask for the regret of "
                "the pair."
            )


def _check_free(fit: Model) -> None:
    """Refuse to choose among batches where all runs have one.

    Raises:
        DataError: nothing tells another batch.
    """
    level = only_levels(fit).get("batch")
    if level is not None:
        raise DataError(
            f"Expected no batch_multiple, since all fitted runs have a batch of "
            f"{level:,.0f} tokens and tell nothing of others. Leave it out."
        )


def _multiple(
    question: Question, held: Mapping[str, float], multiple: float
) -> tuple[float, bool]:
    """The multiple of lowest loss, and whether the box keeps the batch from a lower.

    Along batch the minimum over lr is convex, so the multiple is a neighbour of the
    free optimum.
    """
    only = point_only(question)
    box = question.box | {name: (value, value) for name, value in held.items()}
    least = solve_box(only, box)
    free = least.best["batch"]
    low, high = box["batch"]
    near = (math.floor(free / multiple), math.ceil(free / multiple))
    usable = sorted({max(n, 1) * multiple for n in near})
    usable = [value for value in usable if low <= value <= high]
    if not usable:
        raise DataError(
            f"Expected a multiple of {multiple:g} tokens between {low:g} and {high:g}, "
            "and there is none near the optimum. Use a smaller multiple or a wider "
            "--batch-range."
        )
    values = [
        solve_box(only, {**box, "batch": (value, value)}).value for value in usable
    ]
    names = question.fit.features.choices
    is_bounded = bool(least.minimum.at_bound[0, names.index("batch")])
    return usable[int(np.argmin(values))], is_bounded


def refused(
    question: Question, why: str, offered: dict[str, float] | None = None
) -> Optimum:
    """No number but what is offered, and why."""
    context = context_of(question, {}, Status.not_identifiable, extra=(why,))
    return Optimum(
        context=context,
        lr=math.nan,
        batch=math.nan,
        loss=math.nan,
        level=LEVEL,
        lr_interval=UNKNOWN,
        batch_interval=UNKNOWN,
        loss_interval=UNKNOWN,
        certificate=Certificate(math.nan, math.nan, ()),
        stability=None,
        deferred=undecided(question, "suggestion", why, context.distance),
        offer=offered,
    )
