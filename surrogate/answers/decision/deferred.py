"""Decisions that are made when they are first looked at."""

from __future__ import annotations

from collections.abc import Mapping

from surrogate.answers import surface
from surrogate.answers.decision.document import Decision, Deferred, Limits
from surrogate.answers.limits.sides import Side
from surrogate.answers.question import Question, Range
from surrogate.answers.solved import Solved
from surrogate.base.defaults import PROBABILITY, TOL
from surrogate.fitting.model import Model


def answered(
    fit: Model,
    question: Question,
    solved: Solved,
    box: Mapping[str, Range],
    known: Mapping[str, float],
    one_sided: Mapping[str, Side],
    distance: float,
    *,
    of: str,
    limits: Limits | None = None,
    tol: float = TOL,
    probability: float = PROBABILITY,
    choice: Mapping[str, float] | None = None,
    edges: surface.Edges | None = None,
) -> Deferred:
    """The decision of an answer, to be made when it is looked at: `decide.Answered`."""

    def make() -> Decision:
        from surrogate.answers.decision import decide

        # The box of a regret reaches from the last value tried to the choice.
        held = {} if choice else one_sided
        kept = {name: (side.at, side.at) for name, side in held.items()}
        return decide.decide(
            decide.Answered(
                *(fit, question, solved, {**box, **kept}, known, tol, probability),
                *(limits or Limits(), distance, of, choice, one_sided, edges),
            )
        )

    return Deferred(make)


def undecided(
    fit: Model, question: Question, of: str, why: str, distance: float
) -> Deferred:
    """The decision of an answer that has no number."""

    def make() -> Decision:
        from surrogate.answers.decision import decide

        return decide.nothing(fit, question, of, why, distance)

    return Deferred(make)
