"""The optimum where the runs tell it, and else what published laws carry there."""

from __future__ import annotations

import math
from dataclasses import replace

from surrogate.answers import optimum as fitted
from surrogate.answers.checks import check_positive
from surrogate.answers.context import context_of
from surrogate.answers.decision.deferred import undecided
from surrogate.answers.decision.document import Limits
from surrogate.answers.limits.carried import Transfer
from surrogate.answers.limits.transfer import (
    OFFERED,
    carry_by,
    check_law,
    is_movable,
    say_offer,
    say_taken,
)
from surrogate.answers.limits.unfitted import nearest_fitted, unfitted
from surrogate.answers.question import Question
from surrogate.answers.results import UNKNOWN, Certificate, Optimum
from surrogate.answers.solved import held_settings
from surrogate.base.errors import DataError, Status

_NOT_NEEDED = (
    "No law was needed: these runs tell the optimum at these sizes themselves, and the "
    "answer is theirs."
)


def optimum(
    question: Question,
    *,
    transfer: str | None = None,
    batch: float | None = None,
    lr: float | None = None,
    batch_multiple: float | None = None,
    limits: Limits | None = None,
) -> Optimum:
    """`answers.optimum`, with a carried optimum offered, or taken where a law is named.

    Raises:
        DataError: as `answers.optimum`; or `transfer` names no law that carries here.
    """
    if transfer is not None:
        check_law(transfer)
    found = fitted.optimum(
        question, batch=batch, lr=lr, batch_multiple=batch_multiple, limits=limits
    )
    why = unfitted(question)
    if why is None:
        if transfer is None:
            return found
        return _with(found, (_NOT_NEEDED,))
    held = held_settings(lr, batch)
    start = _start(question, held)
    if start is None:
        if transfer is None:
            return found
        return _with(
            found, ("There is no optimum of these runs that a law could carry.",)
        )
    carried = carry_by(question, start, transfer or OFFERED, held)
    if transfer is None:
        return _with(replace(found, transfer=carried), (say_offer(carried),), why)
    if batch_multiple is not None:
        check_positive("batch_multiple", batch_multiple)
        count = max(round(carried.batch / batch_multiple), 1)
        carried = replace(carried, batch=count * batch_multiple)
    return _taken(question, start, carried)


def offer(question: Question) -> tuple[str, ...]:
    """What published laws would carry to sizes without an answer, for other answers."""
    start = _start(question, {})
    if start is None:
        return ()
    found = carry_by(question, start, OFFERED, {})
    return (say_offer(found, is_optimum=False),)


def _start(question: Question, held: dict[str, float]) -> Optimum | None:
    """The optimum at the nearest sizes that the runs tell of; None without one."""
    sizes = nearest_fitted(question)
    if not is_movable(question, sizes):
        return None
    scales = {name: sizes[name] for name in question.scales}
    near = replace(question.at(sizes["params"], sizes["tokens"], scales), warnings=())
    if unfitted(near) is not None:
        return None
    try:
        found = fitted.optimum(near, batch=held.get("batch"), lr=held.get("lr"))
    except DataError:
        return None
    known = math.isfinite(found.lr) and math.isfinite(found.batch)
    return None if found.status.is_failed or not known else found


def _taken(question: Question, start: Optimum, carried: Transfer) -> Optimum:
    """The carried optimum as the answer; nothing of it is these runs' but its start."""
    ratio = {"lr": carried.lr / start.lr, "batch": carried.batch / start.batch}
    sides = {
        name: side
        | {key: side[key] and side[key] * ratio[name] for key in ("than", "at")}
        for name, side in start.context.one_sided.items()
    }
    status = start.status if start.status is Status.at_bound else Status.ok
    at = {"lr": carried.lr, "batch": carried.batch}
    extra = (say_taken(carried), *carried.warnings)
    extra += tuple(
        f"Where it is carried from: {text}" for text in start.context.warnings
    )
    context = context_of(question, at, status, extra=extra)
    # What the context says of the fit itself, its start has said already.
    said = tuple(dict.fromkeys(context.warnings))
    own = tuple(text for text in said if text not in start.context.warnings)
    return Optimum(
        context=replace(context, one_sided=sides, warnings=own),
        lr=carried.lr,
        batch=carried.batch,
        loss=math.nan,
        level=start.level,
        lr_interval=UNKNOWN,
        batch_interval=UNKNOWN,
        loss_interval=UNKNOWN,
        certificate=Certificate(math.nan, math.nan, ()),
        stability=None,
        deferred=undecided(
            question, "suggestion", say_taken(carried), context.distance
        ),
        transfer=carried,
    )


def _with(found: Optimum, more: tuple[str, ...], after: str = "") -> Optimum:
    """An answer that says something more, at the end or after what it says."""
    context = found.context
    said = list(context.warnings)
    at = said.index(after) + 1 if after in said else len(said)
    said[at:at] = more
    return replace(found, context=replace(context, warnings=tuple(said)))
