"""The learning rate and batch size of the lowest loss."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from surrogate.answers import stability_edge
from surrogate.answers.context import context_of
from surrogate.answers.decision.deferred import answered, undecided
from surrogate.answers.decision.document import Limits
from surrogate.answers.limits.offers import not_told, offer
from surrogate.answers.limits.sides import say, say_open
from surrogate.answers.limits.unfitted import unfitted
from surrogate.answers.question import Question, Range, check_positive
from surrogate.answers.results import (
    UNKNOWN,
    Certificate,
    Optimum,
)
from surrogate.answers.solved import (
    certificate,
    held_settings,
    is_cut,
    loss_interval,
    loss_of,
    only_levels,
    point_only,
    settings,
    solve_box,
    solve_sides,
    state,
)
from surrogate.base.errors import DataError, Status
from surrogate.data.coordinates import CHOICES
from surrogate.fitting import intervals as uncertainty
from surrogate.fitting.model import Model


def optimum(
    fit: Model,
    question: Question,
    *,
    batch: float | None = None,
    lr: float | None = None,
    batch_multiple: float | None = None,
    limits: Limits | None = None,
) -> Optimum:
    """The lowest loss over the box, or along a held lr or batch."""
    held = held_settings(fit, lr, batch)
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
    is_bounded = False
    unknown = unfitted(fit, question)
    if unknown is not None:
        return refused(fit, question, unknown)
    _check_choice(fit, held)
    held = only_levels(fit) | held
    box = question.box | {name: (value, value) for name, value in held.items()}
    why = not_told(fit, question, held)
    if why:
        return refused(fit, question, *offer(fit, question, why, held))
    if batch_multiple is not None:
        value, is_bounded = _multiple(fit, question, box, batch_multiple)
        held = held | {"batch": value}
        box = box | {"batch": (value, value)}
    solved, one_sided, intervals = solve_sides(fit, question, box, held)
    best = settings(fit, solved.minimum.u[0], held)
    best |= {name: side.at for name, side in one_sided.items()}
    for name in held:
        intervals[name] = UNKNOWN
    unsure = tuple(
        text
        for name in fit.features.choices
        if name not in one_sided and name not in held
        for text in say_open(fit, question, name, best[name], intervals[name])
    )
    status = state(fit, solved)
    if status is Status.ok and (is_bounded or one_sided):
        status = Status.at_bound
    extra = stability_edge.warnings_of(
        question, is_cut(solved), solved.bounds.is_beyond
    )
    extra += tuple(say(name, side) for name, side in one_sided.items()) + unsure
    context = context_of(fit, question, best, status, held, extra, one_sided)
    told = answered(
        *(fit, question, solved, box, held, one_sided, context.distance),
        limits=limits,
        of="suggestion",
    )
    return Optimum(
        context=context,
        lr=best["lr"],
        batch=best["batch"],
        loss=loss_of(fit, solved.minimum.value[0]),
        level=uncertainty.LEVEL,
        lr_interval=intervals["lr"],
        batch_interval=intervals["batch"],
        loss_interval=loss_interval(fit, solved),
        certificate=certificate(fit, solved),
        stability=stability_edge.risk(fit, question, best),
        deferred=told,
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


def _multiple(
    fit: Model, question: Question, box: Mapping[str, Range], multiple: float
) -> tuple[float, bool]:
    """The multiple of lowest loss, and whether the box keeps the batch from a lower.

    Along batch the minimum over lr is convex, so the multiple is a neighbour of the
    free optimum.
    """
    only = point_only(fit)
    least = solve_box(only, question, box).minimum
    free = settings(fit, least.u[0], {})["batch"]
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
        solve_box(only, question, {**box, "batch": (value, value)}).minimum.value[0]
        for value in usable
    ]
    is_bounded = bool(least.at_bound[0, fit.features.choices.index("batch")])
    return usable[int(np.argmin(values))], is_bounded


def refused(
    fit: Model, question: Question, why: str, offered: dict[str, float] | None = None
) -> Optimum:
    """No number but what is offered, and why."""
    context = context_of(fit, question, {}, Status.not_identifiable, extra=(why,))
    return Optimum(
        context=context,
        lr=math.nan,
        batch=math.nan,
        loss=math.nan,
        level=uncertainty.LEVEL,
        lr_interval=UNKNOWN,
        batch_interval=UNKNOWN,
        loss_interval=UNKNOWN,
        certificate=Certificate(math.nan, math.nan, ()),
        stability=None,
        deferred=undecided(fit, question, "suggestion", why, context.distance),
        offer=offered,
    )
