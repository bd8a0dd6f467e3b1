"""An optimum carried by a published law's exponents to where the runs tell nothing.

A law gives no level here: only the ratio of its own answers at two sizes is taken, from
the sizes that the runs tell of, so that units and constants cancel.
"""

from __future__ import annotations

import math

import numpy as np

from surrogate.answers.limits.carried import Pair, Start, Transfer, Way
from surrogate.answers.question import Question
from surrogate.answers.results import UNKNOWN, Optimum
from surrogate.base.defaults import ACTIVE
from surrogate.base.errors import DataError
from surrogate.base.units import (
    format_count,
    format_lr,
    format_tokens_exact,
    quote,
)
from surrogate.fitting.model import Model
from surrogate.laws import LAWS, Law, Point, evaluate

# The law that is offered where none is named.
OFFERED = "step-law"
_CARRIED = ("params", "tokens", *ACTIVE)


def carriers() -> tuple[str, ...]:
    """Names of the laws whose exponents can carry a learning rate over N and D."""
    return tuple(law.name for law in LAWS if _carries(law))


def check_law(name: str) -> str:
    """The name of a law that can carry.

    Raises:
        DataError: it is none; lists those that are.
    """
    known = carriers()
    if name not in known:
        raise DataError(
            "Expected transfer to name a published law that gives a learning rate by "
            f"params and tokens ({', '.join(known)}), got {quote(name)}."
        )
    return name


def is_movable(asked: Question, start: dict[str, float]) -> bool:
    """Whether laws know all the scales in which two sizes differ."""
    return all(start[n] == v or n in _CARRIED for n, v in asked.sizes.items())


def carry_by(
    question: Question, start: Optimum, name: str, held: dict[str, float]
) -> Transfer:
    """Carry an optimum of the runs to a question, by one law and by all others.

    Args:
        question: where to.
        start: the optimum at sizes that the runs tell of.
        name: of the law.
        held: settings that were asked to be held, which are not carried.

    Raises:
        DataError: the law says nothing at one of the two sizes.
    """
    ways = _ways(question, start, name, held)
    chosen = next(way for way in ways if way.law == name)
    lr, batch = chosen.lr, chosen.batch
    said = [f"{name}: {text}" for text in chosen.warnings]
    if not math.isfinite(batch):
        batch = start.batch
        if "batch" not in held:
            said.append(f"{name} gives no batch: it stays as the runs had it.")
    at = start.context
    return Transfer(
        law=name,
        lr=lr,
        batch=batch,
        lr_range=_ends([way.lr for way in ways]),
        batch_range=UNKNOWN
        if "batch" in held
        else _ends([way.batch for way in ways] + [batch]),
        start=Start(
            params=at.params,
            tokens=at.tokens,
            scales=at.scales,
            lr=start.lr,
            batch=start.batch,
            lr_interval=start.lr_interval,
            batch_interval=start.batch_interval,
        ),
        laws=tuple(ways),
        warnings=tuple(said),
    )


def _ways(
    question: Question, start: Optimum, name: str, held: dict[str, float]
) -> list[Way]:
    """What every law makes of it that can; the one named must."""
    ways = []
    for law in filter(_carries, LAWS):
        try:
            ways.append(_way(law, question, start, held))
        except DataError as error:
            if law.name == name:
                raise DataError(
                    f"Expected transfer by a law that holds from "
                    f"{format_count(start.context.params)} to "
                    f"{format_count(question.params)} parameters, got {name}: {error}"
                ) from error
    return ways


def say_offer(found: Transfer, *, is_optimum: bool = True) -> str:
    """What published laws would answer, and that it is not these runs'.

    Args:
        found: what they carry.
        is_optimum: said of an optimum, which takes it; else of another answer.
    """
    how = "to take them, add" if is_optimum else "`surrogate optimum` takes them with"
    return (
        f"Published laws carry the optimum there from {_place(found)}: {found.law} to "
        f"lr {format_lr(found.lr)}, batch {_tokens(found.batch)}; "
        f"{len(found.laws)} laws to lr {_span(found.lr_range)}. Those are others' "
        f"exponents and not these runs': {how} --transfer {found.law}."
    )


def say_taken(found: Transfer) -> str:
    """That an answer was carried, from where, and how far laws agree."""
    return (
        f"Carried from {_place(found)} by {found.law}'s exponents, which are not these "
        f"runs': {len(found.laws)} laws give lr {_span(found.lr_range)}."
    )


def _place(found: Transfer) -> str:
    start = found.start
    return (
        f"{format_count(start.params)} parameters and {format_count(start.tokens)} "
        f"tokens (lr {format_lr(start.lr)}, batch {_tokens(start.batch)})"
    )


def _tokens(batch: float) -> str:
    return f"{format_tokens_exact(round(batch))} tokens"


def _span(ends: Pair) -> str:
    return f"{format_lr(ends[0])} to {format_lr(ends[1])}"


def _carries(law: Law) -> bool:
    return (
        law.unusable is None
        and law.lr is not None
        and bool(law.lr.variables)
        and law.lr.variables <= {"N", "D", "C"}
    )


def _way(law: Law, question: Question, start: Optimum, held: dict[str, float]) -> Way:
    """What one law makes of an optimum elsewhere."""
    fit, at = question.fit, start.context
    here = evaluate(
        law, _point(fit, at.params, at.tokens, at.scales), is_compute_approximate=True
    )
    there = evaluate(
        law,
        _point(fit, question.params, question.tokens, question.scales),
        is_compute_approximate=True,
    )
    assert here.lr is not None
    assert there.lr is not None
    batch = math.nan
    is_carried = not law.is_batch_critical and "batch" not in held
    if is_carried and here.batch is not None and there.batch is not None:
        batch = start.batch * there.batch / here.batch
    lr = held.get("lr", start.lr * there.lr / here.lr)
    said = tuple(dict.fromkeys((*here.warnings, *there.warnings)))
    return Way(law.name, lr, batch, said)


def _point(fit: Model, params: float, tokens: float, scales: dict[str, float]) -> Point:
    return Point(
        params=params,
        tokens=tokens,
        active=next((scales[name] for name in ACTIVE if name in scales), None),
        params_kind=fit.params_kind,
    )


def _ends(values: list[float]) -> Pair:
    known = np.array([value for value in values if math.isfinite(value)])
    return (float(known.min()), float(known.max())) if known.size else UNKNOWN
